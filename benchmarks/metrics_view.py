"""The metrics view and low stock, measured through gRPC: refreshes beside readers and writers, view against live.

    python -m benchmarks.metrics_view [--rows 1000000] [--results FILE]

Server and callers share a process, Postgres has one of its own; a time is what a caller waits.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from google.protobuf.duration_pb2 import Duration
from holdfast.inventory.v1 import inventory_pb2_grpc, reports_pb2, reservation_pb2
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.database import postgres_database
from inventory_service import bootstrap
from inventory_service.settings import Settings
from servicekit.persistence.engines import create_engine
from servicekit.process.server import Server
from servicekit.schema.migrations import Schema
from servicekit.telemetry import logs

RESULTS = Path(__file__).parent / "results/metrics_view.txt"
REFRESHES = 2
CONTROL_SECONDS = 20.0
RUNS = 30
HOLDS = 200
LIVE = Duration()

STOCKS = """
INSERT INTO inventory.stock (sku, quantity, gross_purchase_price, roi_percentage, status)
SELECT 'S' || lpad(n::text, 7, '0'), n % 50 + 1, n % 900 + 10, n % 60 - 10,
    (ARRAY['in_stock', 'in_stock', 'in_stock', 'sold', 'presale'])[n % 5 + 1]
FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) n
"""

Call = Callable[[], Awaitable[object]]
Say = Callable[[str], None]


class Caller:
    """The calls that are measured, each upon stocks far apart."""

    def __init__(self, channel: grpc.aio.Channel, rows: int) -> None:
        self.stub = inventory_pb2_grpc.InventoryServiceStub(channel)
        self._rows = rows
        self._number = 0

    def _sku(self) -> str:
        self._number += 1
        return f"S{self._number * 7919 % self._rows + 1:07}"

    async def get(self, staleness: Duration | None = None) -> None:
        request = reports_pb2.GetStockMetricsRequest(sku=self._sku(), max_staleness=staleness)
        await self.stub.GetStockMetrics(request)

    async def list_page(self, staleness: Duration | None = None) -> None:
        await self.stub.ListStockMetrics(reports_pb2.ListStockMetricsRequest(max_staleness=staleness))

    async def summary(self, staleness: Duration | None = None) -> None:
        await self.stub.GetInventorySummary(reports_pb2.GetInventorySummaryRequest(max_staleness=staleness))

    async def hold(self) -> None:
        """ReserveStock and ReleaseReservation of one unit of a stock that can be reserved."""
        self._number += 1
        name, number = f"bench:{self._number}", self._number * 7919 % (self._rows // 5) * 5 + 1
        line = reservation_pb2.ReservationLine(sku=f"S{number:07}", quantity=1)
        reserve = reservation_pb2.ReserveStockRequest(reservation_id=name, holder="bench", lines=[line])
        await self.stub.ReserveStock(reserve)
        await self.stub.ReleaseReservation(reservation_pb2.ReleaseReservationRequest(reservation_id=name))


async def median_ms(call: Call, runs: int = RUNS) -> float:
    """The median of so many calls, one after the other, in milliseconds."""
    return statistics.median([await seconds_of(call) * 1000 for _ in range(runs)])


async def seconds_of(call: Call) -> float:
    """How long the caller waits."""
    began = time.perf_counter()
    await call()
    return time.perf_counter() - began


@asynccontextmanager
async def beside(calls: Mapping[str, Call]) -> AsyncIterator[dict[str, float]]:
    """Makes calls again and again meanwhile; gives the longest wait of each, in milliseconds."""
    longest = dict.fromkeys(calls, 0.0)

    async def repeat(name: str) -> None:
        while True:
            longest[name] = max(longest[name], await seconds_of(calls[name]) * 1000)
            await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(repeat(name)) for name in calls]
    yield longest
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def told(longest: dict[str, float]) -> str:
    """The longest waits in words."""
    return ", ".join(f"{name} {value:.0f} ms" for name, value in longest.items())


async def refreshes(caller: Caller, say: Say) -> None:
    """Refreshes while others read and write; before and between, the same calls without a refresh."""
    request = reports_pb2.RefreshStockMetricsRequest()
    others: dict[str, Call] = {"get": caller.get, "page": caller.list_page, "hold and release": caller.hold}
    for _ in range(REFRESHES):
        async with beside(others) as longest:
            await asyncio.sleep(CONTROL_SECONDS)
        say(f"no refresh, {CONTROL_SECONDS:.0f} s; the longest waits: {told(longest)}")
        async with beside(others) as longest:
            seconds = await seconds_of(lambda: caller.stub.RefreshStockMetrics(request, timeout=600))
        say(f"refresh, {seconds:.1f} s; the longest waits meanwhile: {told(longest)}")


async def reads(caller: Caller, say: Say) -> None:
    """The view against live figures."""
    for name, call in (
        ("one stock", caller.get),
        ("a page of 50", caller.list_page),
        ("summary", caller.summary),
    ):
        view = await median_ms(call)
        live = await median_ms(lambda call=call: call(LIVE))  # type: ignore[misc]
        say(f"{name:14} view {view:8.1f} ms   live {live:8.1f} ms   live / view {live / view:5.2f}")


async def judging(caller: Caller, engine: AsyncEngine, say: Say) -> None:
    """What the judgement of low stock costs a hold, and how long a new global threshold takes."""
    costs: dict[str, list[float]] = {"ENABLE": [], "DISABLE": []}
    for _ in range(3):
        for state, found in costs.items():
            async with engine.begin() as connection:
                await connection.execute(
                    text(f"ALTER TABLE inventory.stock {state} TRIGGER stock_judged_after_update")
                )
            found.append(await median_ms(caller.hold, HOLDS))
    judged, unjudged = (statistics.median(costs[state]) for state in ("ENABLE", "DISABLE"))
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE inventory.stock ENABLE TRIGGER stock_judged_after_update"))
    say(
        f"reserve and release: judged {judged:.2f} ms, not judged {unjudged:.2f} ms, ratio {judged / unjudged:.3f}"
    )

    async def applied() -> None:
        await caller.stub.SetStockThreshold(reports_pb2.SetStockThresholdRequest(threshold=1))
        applying = True
        while applying:
            await asyncio.sleep(0.05)
            answer = await caller.stub.ListLowStock(reports_pb2.ListLowStockRequest())
            applying = answer.HasField("applying_since_time")

    async with beside({"hold and release": caller.hold}) as longest:
        seconds = await seconds_of(applied)
    say(
        f"a new global threshold reaches all stocks in {seconds:.1f} s; the longest wait meanwhile: {told(longest)}"
    )


async def measure(rows: int) -> list[str]:
    """Makes the stocks, serves them, and says what came out."""
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    async with postgres_database() as (url, described):
        engine = create_engine(url, pool_size=2, for_migrations=True)
        await Schema("inventory").upgrade(engine)
        for first in range(1, rows + 1, 100_000):
            async with engine.begin() as connection:
                last = min(first + 99_999, rows)
                await connection.execute(text(STOCKS), {"first": first, "last": last})
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("VACUUM ANALYZE"))
        server = Server(
            bootstrap.build(Settings(database_url=url, listen="127.0.0.1:0", metrics_refresh_seconds=0))
        )
        port = await server.start()
        say(f"{rows:,} stocks; {described}")
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            caller = Caller(channel, rows)
            await refreshes(caller, say)
            await reads(caller, say)
            await judging(caller, engine, say)
        await server.stop()
        await engine.dispose()
    return lines


def main() -> None:
    """Reads the arguments and measures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    logs.configure("error")
    lines = asyncio.run(measure(arguments.rows))
    arguments.results.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
