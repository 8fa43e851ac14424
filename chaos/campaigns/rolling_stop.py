"""SIGTERM of one of two servers after the other, under load, with the channel that clients are given.

Of inventory's, whose callers add units; or of delivery's, whose callers have goods packed: relays are stopped with it.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence

import grpc
from holdfast import client
from holdfast.delivery.v1 import delivery_pb2_grpc
from holdfast.delivery.v1 import package_pb2 as pb
from holdfast.inventory.v1 import inventory_pb2_grpc, movement_pb2

from chaos.campaign import Campaign, Trial, together
from chaos.packages import require_settled
from chaos.scene import inventories
from tests.support.services import ServiceProcess, fresh_pair
from tests.support.town import SYSTEM, Town, ids

CALLERS = 16
SKU, UNITS = "rolling", 1_000_000
MOST_SECONDS = 60.0
"""Until a server that came back has calls again."""
Ask = Callable[[], Awaitable[None]]
"""One call, or what makes several of one wish."""


async def run(trial: Trial) -> None:
    """Callers call all the time; each answer is one effect, and none may be an error."""
    await (_stop_deliveries(trial) if trial.engine else _stop_inventories(trial))


async def _stop_inventories(trial: Trial) -> None:
    numbers = itertools.count()

    def adding(channel: grpc.aio.Channel) -> Ask:
        stub = inventory_pb2_grpc.InventoryServiceStub(channel)

        async def add() -> None:
            request = movement_pb2.AdjustStockRequest(
                sku=SKU,
                delta=1,
                reason=movement_pb2.MOVEMENT_REASON_RECEIVED,
                request_id=f"add-{next(numbers)}",
            )
            await stub.AdjustStock(request, metadata=SYSTEM, timeout=10)

        return add

    async with inventories(2, trial.folder) as scene:
        await scene.stock(SKU, 0)
        added = await _under_load(trial, scene.servers, "AdjustStock", adding)
        left = (await scene.levels(SKU))[0]
        trial.require(left == added, f"{added} additions were acknowledged, {left} units are there")
        trial.violations.extend(await scene.findings())


async def _stop_deliveries(trial: Trial) -> None:
    async with fresh_pair(trial.engine, trial.folder) as pair:
        servers = (pair.delivery, pair.another_delivery())
        await asyncio.gather(*(server.start() for server in (pair.inventory, *servers)))
        town, packed = Town(pair, *servers[1:]), list[str]()
        await town.found()
        sku = await town.stock(UNITS)

        def packing(channel: grpc.aio.Channel) -> Ask:
            town.delivery = delivery_pb2_grpc.DeliveryServiceStub(channel)

            async def pack() -> None:
                order_id = await town.order({sku: 1}, str(next(ids)))
                wish = town.package_request(pb.WORKFLOW_MERCHANT_TO_USER, order_id)
                packed.append((await town.create(wish)).package_sn)

            return pack

        await _under_load(trial, servers, "CreatePackage", packing)
        town.delivery = delivery_pb2_grpc.DeliveryServiceStub(town.delivery_channel)
        await require_settled(trial, town, dict.fromkeys(packed, pb.STOCK_STATE_HELD))
        held = await town.levels(sku)
        trial.require(
            held == (UNITS, len(packed)), f"{len(packed)} units should be held, the stock says {held}"
        )
        trial.violations.extend(await town.findings())
        await town.close()


async def _under_load(
    trial: Trial,
    servers: Sequence[ServiceProcess],
    method: str,
    asking: Callable[[grpc.aio.Channel], Ask],
) -> int:
    """How many times callers were answered, while one server after the other is told to end and started again."""
    addresses = ",".join(server.address for server in servers)
    options = [("grpc.use_local_subchannel_pool", 1)]
    answered = 0

    async with client.aio_channel(f"ipv4:{addresses}", options=options) as channel:
        ask = asking(channel)

        async def caller() -> None:
            nonlocal answered
            while trial.more:
                try:
                    await ask()
                    answered += 1
                except grpc.aio.AioRpcError as error:
                    trial.violations.append(f"{error.code().name} {error.details()}")

        async def operator() -> None:
            for server in itertools.cycle(servers):
                if not trial.more:
                    return
                await asyncio.sleep(trial.random.uniform(0.2, 0.6))
                code = await server.terminate()
                trial.require(code == 0, f"a server that was told to end answered {code}")
                trial.faults["SIGTERM"] += 1
                before = server.log.stat().st_size
                await server.start()
                # As an operator does: the next one only after this one has its share of the calls again.
                async with asyncio.timeout(MOST_SECONDS):
                    while trial.more and not _has_calls(server, method, before):  # noqa: ASYNC110 - its log tells nobody
                        await asyncio.sleep(0.1)
                trial.attempted()

        await together(operator(), *(caller() for _ in range(CALLERS)))
    trial.contention["calls answered"] = answered
    for server in servers:
        quiet = "never retrieved" not in server.log.read_text()
        trial.require(quiet, f"{server.log.name}: never retrieved")
    return answered


def _has_calls(server: ServiceProcess, method: str, since: int) -> bool:
    """Whether it has answered some, by its log from this byte on."""
    with server.log.open("rb") as log:
        log.seek(since)
        return method.encode() in log.read()


CAMPAIGN = Campaign(
    number=9,
    title="SIGTERM rolling over two servers under load",
    promises=(24,),
    attempt="stops",
    short=10,
    long=100,
    run=run,
    contention=("calls answered",),
    engines=("", "mysql", "mariadb"),
)
