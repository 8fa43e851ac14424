"""A sale in which one of two servers is ended with SIGKILL, counted unit by unit."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Mapping

import grpc
from holdfast.inventory.v1 import inventory_pb2_grpc, stock_pb2
from sqlalchemy import text

from benchmarks.bench import bodies
from benchmarks.bench.inventory_steps import CALLER
from benchmarks.bench.results import Void
from benchmarks.bench.site import Site, site

CALLERS = 64
UNITS, UNITS_SHORT = 10_000, 300
SKU = "KILLED"
MOST_SECONDS = 300.0
_UNKNOWN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)
_HELD = text("""
    SELECT reservation_id, sum(line.quantity) AS units FROM inventory.reservation
    JOIN inventory.reservation_line line USING (reservation_id) WHERE state = 'HELD' GROUP BY reservation_id
""")


async def killed(postgres: str, *, short: bool) -> Mapping[str, int]:
    """What was acknowledged, and what the books say. Raises Void where the two differ, or one unit was sold twice."""
    units = UNITS_SHORT if short else UNITS
    async with site(postgres, 1, servers=2) as place:
        sale = _Sale(place, units)
        try:
            await asyncio.wait_for(sale.run(), MOST_SECONDS)
        except TimeoutError as error:
            raise Void(f"the sale has not ended after {MOST_SECONDS:g} s") from error
        async with place.books.engine.connect() as connection:
            held = {row.reservation_id: int(row.units) for row in await connection.execute(_HELD)}
        counted = {
            "units": units,
            "acknowledged": len(sale.acknowledged),
            "acknowledged before the kill": sale.before_the_kill,
            "calls repeated because their outcome was unknown": sale.repeated,
            "oversold": max(0, sum(held.values()) - units),
            "lost": len(sale.acknowledged.keys() - held.keys()),
            "held and never acknowledged": len(held.keys() - sale.acknowledged.keys()),
            "doubled": sum(number != 1 for number in held.values()),
            "findings of CheckConsistency": len(await place.running.findings()),
        }
    wrong = ("oversold", "lost", "held and never acknowledged", "doubled", "findings of CheckConsistency")
    spared = place.servers[0].running or not sale.repeated
    if spared or any(counted[name] for name in wrong) or counted["acknowledged"] != units:
        raise Void(f"after SIGKILL in mid-run: {counted}")
    return counted


class _Sale:
    """Callers that want a unit each, again and again, until there is none."""

    def __init__(self, place: Site, units: int) -> None:
        self.acknowledged: Counter[str] = Counter()
        self.before_the_kill = 0
        self.repeated = 0
        self._place = place
        self._units = units
        self._numbers = itertools.count(1)
        self._third_sold = asyncio.Event()

    async def run(self) -> None:
        """Kills the first server once a third of the units is sold."""
        channels = [grpc.aio.insecure_channel(process.address) for process in self._place.servers]
        stubs = [inventory_pb2_grpc.InventoryServiceStub(channel) for channel in channels]
        stock = stock_pb2.CreateStockRequest(sku=SKU, quantity=self._units)
        await stubs[0].CreateStock(stock, metadata=CALLER, timeout=10)
        await asyncio.gather(self._kill(), *(self._buy(stubs, number) for number in range(CALLERS)))
        for channel in channels:
            await channel.close()

    async def _kill(self) -> None:
        await self._third_sold.wait()
        self.before_the_kill = len(self.acknowledged)
        await self._place.servers[0].kill()

    async def _buy(self, stubs: "list[inventory_pb2_grpc.InventoryServiceAsyncStub]", caller: int) -> None:
        there = caller % len(stubs)
        while True:
            request = bodies.reserve([SKU], f"k{next(self._numbers)}")
            while True:
                try:
                    await stubs[there].ReserveStock(request, metadata=CALLER, timeout=5)
                except grpc.aio.AioRpcError as error:
                    if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
                        return
                    if error.code() not in _UNKNOWN:
                        raise Void(f"a unit was refused: {error.code().name} {error.details()}") from error
                    self.repeated += 1
                    there = (there + 1) % len(stubs)
                    await asyncio.sleep(0.01)
                else:
                    self.acknowledged[request.reservation_id] += 1
                    if len(self.acknowledged) > self._units // 3:
                        self._third_sold.set()
                    break
