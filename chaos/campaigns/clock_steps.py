"""The services' clocks are set, hours ahead and hours back, while packages are delivered and holds run out.

Each process has a clock of its own; the engines keep theirs. Whether a hold is over must be told by theirs alone.
"""

import asyncio
from datetime import timedelta

import grpc
from holdfast.inventory.v1 import reservation_pb2, stock_pb2
from holdfast.ops.v1 import ops_pb2, ops_pb2_grpc

from chaos.campaign import Campaign, Trial, together
from chaos.customers import CUSTOMERS, Customers
from chaos.scene import one_unit
from tests.support.clocks import Clock
from tests.support.services import ServiceProcess, fresh_pair
from tests.support.town import SYSTEM, Town, ids

PAUSE_SECONDS = (0.1, 0.4)
"""Between two steps."""
MOST_STEP = timedelta(hours=2)
"""A clock is set so far from the engines' at most."""
HOLDERS = 2
LONG, SHORT = timedelta(minutes=10), timedelta(seconds=1)
"""Holds' times: one that no campaign outlasts, though every step may seem to, and one that is waited for."""
MARGIN_SECONDS = 0.2


async def run(trial: Trial) -> None:
    """Two inventory servers that differ by hours judge the same holds."""
    async with fresh_pair(trial.engine, trial.folder) as pair:
        servers = (pair.inventory, pair.another_inventory(), pair.delivery)
        clocks = [Clock(trial.folder / f"clock-{number}") for number in range(len(servers))]
        for server, clock in zip(servers, clocks, strict=True):
            server.clock = clock
        await asyncio.gather(*(server.start() for server in servers))
        town = Town(pair, servers[1])
        customers, holders = Customers(trial, town), _Holders(trial, town)
        await customers.open()
        await together(
            _set_clocks(trial, clocks, customers),
            *(customers.go_on() for _ in range(CUSTOMERS)),
            *(holders.keep() for _ in range(HOLDERS)),
            *(holders.let_go() for _ in range(HOLDERS)),
        )
        for clock in clocks:
            clock.set(MOST_STEP.total_seconds())
        for server in servers:
            await _require_told(trial, server)
        await customers.check()
        await town.close()


async def _set_clocks(trial: Trial, clocks: list[Clock], customers: Customers) -> None:
    most = MOST_STEP.total_seconds()
    while trial.more:
        await asyncio.sleep(trial.random.uniform(*PAUSE_SECONDS))
        seconds = trial.random.uniform(-most, most)
        trial.random.choice(clocks).set(seconds)
        trial.recoveries.append(await customers.seconds_until_served())
        trial.faults[f"clocks set {'ahead' if seconds > 0 else 'back'}"] += 1
        trial.attempted()


class _Holders:
    """They hold the last unit of a stock, which others want."""

    def __init__(self, trial: Trial, town: Town) -> None:
        self._trial = trial
        self._town = town

    async def keep(self) -> None:
        """A hold whose time is not over keeps its unit."""
        while self._trial.more:
            sku = await self._held(LONG)
            await asyncio.sleep(self._trial.random.uniform(0, 3))
            kept = not await self._sold(sku)
            self._trial.require(kept, f"{sku} was held, and sold to somebody else")
            self._trial.contention["units kept"] += kept

    async def let_go(self) -> None:
        """One whose time is over does not stand in the way of a sale."""
        while self._trial.more:
            sku = await self._held(SHORT)
            await asyncio.sleep(SHORT.total_seconds() + MARGIN_SECONDS)
            free = await self._sold(sku)
            self._trial.require(
                free, f"{sku} was held until its time was over, and could not be sold after it"
            )
            self._trial.contention["units let go"] += free

    async def _held(self, ttl: timedelta) -> str:
        sku = f"SKU-{next(ids)}"
        await self._town.insist(
            self._create, stock_pb2.CreateStockRequest(sku=sku, quantity=1, request_id=sku)
        )
        wish = one_unit(f"R-{next(ids)}", sku)
        wish.ttl.FromTimedelta(ttl)
        await self._town.insist(self._reserve, wish)
        return sku

    async def _sold(self, sku: str) -> bool:
        try:
            await self._town.insist(self._reserve, one_unit(f"R-{next(ids)}", sku))
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise
            return False
        return True

    async def _create(self, stock: stock_pb2.CreateStockRequest) -> None:
        await self._town.inventory.CreateStock(stock, metadata=SYSTEM, timeout=10)

    async def _reserve(self, wish: reservation_pb2.ReserveStockRequest) -> None:
        await self._town.inventory.ReserveStock(wish, metadata=SYSTEM, timeout=10)


async def _require_told(trial: Trial, server: ServiceProcess) -> None:
    """A clock that is hours ahead is named to whoever asks what is wrong."""
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = ops_pb2_grpc.OpsServiceStub(channel)
        told = await stub.GetDiagnostics(ops_pb2.GetDiagnosticsRequest(), timeout=30)
    severity = {diagnosis.probe: diagnosis.severity for diagnosis in told.diagnoses}["clock"]
    trial.require(
        severity == ops_pb2.SEVERITY_FAIL, f"{server.service} says nothing of a clock that is wrong"
    )


CAMPAIGN = Campaign(
    number=19,
    title="Clocks of the services that are set, up to 2 h ahead or back",
    promises=(6, 9, 13),
    attempt="clock steps",
    short=40,
    long=500,
    run=run,
    contention=("packages delivered", "packages cancelled", "units kept", "units let go"),
    engines=("mysql", "mariadb"),
    slowest_recovery=10.0,
)
