"""SIGTERM of one of two servers after the other, under load, with clients that have the advised retry policy."""

import asyncio
import itertools
import json

import grpc
from holdfast.inventory.v1 import inventory_pb2_grpc, movement_pb2

from chaos.campaign import Campaign, Trial
from chaos.scene import Inventories, inventories
from tests.support.services import ServiceProcess
from tests.support.town import SYSTEM

CALLERS = 16
SKU = "rolling"
MOST_SECONDS = 60.0
"""Until a server that came back has calls again."""
POLICY = {
    "loadBalancingConfig": [{"round_robin": {}}],
    # The client leaves a server that says NOT_SERVING, before it refuses calls.
    "healthCheckConfig": {"serviceName": "holdfast.inventory.v1.InventoryService"},
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.05s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}


async def run(trial: Trial) -> None:
    """Callers add units all the time; each answer is one unit, and none may be an error."""
    async with inventories(2, trial.folder) as scene:
        await scene.stock(SKU, 0)
        added = await _under_load(trial, scene)
        trial.contention["calls answered"] = added
        left = (await scene.levels(SKU))[0]
        trial.require(left == added, f"{added} additions were acknowledged, {left} units are there")
        trial.violations.extend(await scene.findings())
        for server in scene.servers:
            trial.require(
                "never retrieved" not in server.log.read_text(), f"{server.log.name}: never retrieved"
            )


async def _under_load(trial: Trial, scene: Inventories) -> int:
    addresses = ",".join(server.address for server in scene.servers)
    options = [("grpc.service_config", json.dumps(POLICY)), ("grpc.use_local_subchannel_pool", 1)]
    numbers = itertools.count()
    added = 0

    async with grpc.aio.insecure_channel(f"ipv4:{addresses}", options=options) as channel:
        stub = inventory_pb2_grpc.InventoryServiceStub(channel)

        async def caller() -> None:
            nonlocal added
            while trial.more:
                request = movement_pb2.AdjustStockRequest(
                    sku=SKU,
                    delta=1,
                    reason=movement_pb2.MOVEMENT_REASON_RECEIVED,
                    request_id=f"add-{next(numbers)}",
                )
                try:
                    await stub.AdjustStock(request, metadata=SYSTEM, timeout=10)
                    added += 1
                except grpc.aio.AioRpcError as error:
                    trial.violations.append(f"{request.request_id}: {error.code().name} {error.details()}")

        async def operator() -> None:
            for server in itertools.cycle(scene.servers):
                if not trial.more:
                    return
                await asyncio.sleep(trial.random.uniform(0.2, 0.6))
                code = await server.terminate()
                trial.require(code == 0, f"a server that was told to end answered {code}")
                trial.faults["SIGTERM"] += 1
                before = _calls(server)
                await server.start()
                # As an operator does: the next one only after this one has its share of the calls again.
                async with asyncio.timeout(MOST_SECONDS):
                    while trial.more and _calls(server) == before:  # noqa: ASYNC110 - its log tells nobody
                        await asyncio.sleep(0.1)
                trial.attempted()

        async with asyncio.TaskGroup() as at_once:
            at_once.create_task(operator())
            for _ in range(CALLERS):
                at_once.create_task(caller())
    return added


def _calls(server: ServiceProcess) -> int:
    """How many calls it has answered, by its log."""
    return server.log.read_text().count("AdjustStock")


CAMPAIGN = Campaign(
    number=9,
    title="SIGTERM rolling over two servers under load",
    promises=(24,),
    attempt="stops",
    short=10,
    long=100,
    run=run,
    contention=("calls answered",),
)
