"""The ledger at a million movements: the check of its sums, and months that leave and come back beside writers.

    python -m benchmarks.ledger [--movements 1000000] [--stocks 10000] [--results FILE]

Server, archive command, Postgres and callers are processes of their own; a wait is what a caller sees.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from holdfast.inventory.v1 import inventory_pb2_grpc, movement_pb2
from holdfast.ops.v1 import ops_pb2, ops_pb2_grpc
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.database import postgres_database
from benchmarks.inventory_server import serving
from inventory_service.domain.ledger import LedgerMonth
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from servicekit.schema.migrations import Schema
from servicekit.telemetry import logs

RESULTS = Path(__file__).parent / "results/ledger.txt"
MONTHS = (LedgerMonth(2024, 1), LedgerMonth(2024, 2))
BATCH = 100_000
IDLE_SECONDS = 20
MERCHANT = (("actor-role", "merchant"), ("actor-id", "7"))

FILL = (
    "INSERT INTO inventory.stock (sku, quantity) SELECT 'S' || n, 0 FROM generate_series(1, :stocks) n",
    "ALTER TABLE inventory.stock_movement DISABLE TRIGGER note_movements",
)
MOVEMENTS = """
INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, reference, note, actor)
SELECT CASE n % 5 WHEN 4 THEN now() ELSE CAST(:month AS timestamptz) + make_interval(months => n % 2)
        + n % 2400000 * interval '1 second' END,
    stock.id, CASE n / :stocks % 4 WHEN 3 THEN -1 ELSE 2 END, 'RECEIVED', 'PO-' || n % 9000, 'counted twice', 'bench'
FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) n
JOIN inventory.stock ON sku = 'S' || n % :stocks + 1
"""
BALANCE = (
    "UPDATE inventory.stock SET quantity = units FROM (SELECT stock_id, sum(delta) AS units"
    " FROM inventory.stock_movement GROUP BY 1) entered WHERE stock_id = id",
    "INSERT INTO inventory.reservation (reservation_id, holder, state, created_by, create_time)"
    " SELECT 'R' || sku, 'bench', 'HELD', 'bench', now() FROM inventory.stock WHERE quantity > 0",
    "INSERT INTO inventory.reservation_line (reservation_id, stock_id, quantity)"
    " SELECT 'R' || sku, id, 1 FROM inventory.stock WHERE quantity > 0",
    "UPDATE inventory.stock SET reserved_quantity = 1 WHERE quantity > 0",
    "ALTER TABLE inventory.stock_movement ENABLE TRIGGER note_movements",
)

Say = Callable[[str], None]


async def fill(engine: AsyncEngine, movements: int, stocks: int) -> None:
    """Four of five movements lie in the two months of the past; each stock has an open hold."""

    async def make(uow: SqlUnitOfWork) -> None:
        for month in MONTHS:
            await uow.ledger_partitions.make(month)
            await uow.ledger_partitions.attach(month)

    await Transactions(engine, SqlUnitOfWork, most_seconds=None).run(make)
    async with engine.begin() as connection:
        for statement in FILL:
            await connection.execute(text(statement), {"stocks": stocks} if ":stocks" in statement else {})
        for first in range(0, movements, BATCH):
            last = min(first + BATCH, movements) - 1
            values = {"month": MONTHS[0].start, "first": first, "last": last, "stocks": stocks}
            await connection.execute(text(MOVEMENTS), values)
        for statement in BALANCE:
            await connection.execute(text(statement))
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))


async def archive(environment: Mapping[str, str], *arguments: str) -> tuple[float, float]:
    """Runs the command; answers its seconds and its most MiB of memory."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "inventory_service", "archive", *arguments]
    pid = await asyncio.to_thread(os.posix_spawn, sys.executable, command, os.environ | environment)
    _, status, usage = await asyncio.to_thread(os.wait4, pid, 0)
    if status:
        raise SystemExit(f"archive {' '.join(arguments)} failed")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


@asynccontextmanager
async def beside(calls: Mapping[str, Callable[[int], Awaitable[object]]]) -> AsyncIterator[dict[str, float]]:
    """Makes each call again and again meanwhile; gives the longest wait of each, in seconds."""
    longest = dict.fromkeys(calls, 0.0)
    stopping = asyncio.Event()

    async def repeat(name: str) -> None:
        number = 0
        while not stopping.is_set():
            began = time.perf_counter()
            await calls[name](number)
            longest[name] = max(longest[name], time.perf_counter() - began)
            number += 1
            await asyncio.sleep(0.002)

    tasks = [asyncio.create_task(repeat(name)) for name in calls]
    yield longest
    stopping.set()
    await asyncio.gather(*tasks)


def told(longest: Mapping[str, float]) -> str:
    """The longest waits in words."""
    return ", ".join(f"{name} {1000 * seconds:.0f} ms" for name, seconds in longest.items())


def resident_mib(pid: int) -> float:
    """The memory that a process has now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def size_mib(folder: Path) -> float:
    """The size of all Parquet files."""
    return sum(path.stat().st_size for path in folder.glob("*.parquet")) / 2**20


class Bench:
    """The measured calls over one channel."""

    def __init__(self, channel: grpc.aio.Channel, pid: int, say: Say) -> None:
        self._stub = inventory_pb2_grpc.InventoryServiceStub(channel)
        self._ops = ops_pb2_grpc.OpsServiceStub(channel)
        self._pid = pid
        self._say = say
        self._written = 0

    async def check(self) -> None:
        """Proves the sums, beside writers."""
        for name in ("ledger", "holds", "lines", "partitions"):
            before, began = resident_mib(self._pid), time.perf_counter()
            async with self.working() as longest:
                request = ops_pb2.CheckConsistencyRequest(checks=[name])
                found = [answer.finding async for answer in self._ops.CheckConsistency(request, timeout=600)]
                seconds = time.perf_counter() - began
            after = resident_mib(self._pid)
            self._say(
                f"check {name:10} {seconds:6.1f} s, {len(found)} findings; server {before:.0f} → {after:.0f} MiB;"
                f" longest waits beside it: {told(longest)}"
            )

    @asynccontextmanager
    async def working(self) -> AsyncIterator[dict[str, float]]:
        """A writer and a reader of the ledger at work."""

        async def write(number: int) -> None:
            self._written += 1
            await self._stub.AdjustStock(
                movement_pb2.AdjustStockRequest(
                    sku=f"S{number % 100 + 1}",
                    delta=1,
                    reason=movement_pb2.MOVEMENT_REASON_FOUND,
                    request_id=f"bench-{self._written}",
                ),
                metadata=MERCHANT,
                timeout=10,
            )

        async def read(_number: int) -> None:
            await self._stub.ListMovements(movement_pb2.ListMovementsRequest(page_size=20), timeout=10)

        async with beside({"AdjustStock": write, "ListMovements": read}) as longest:
            yield longest


async def measure(movements: int, stocks: int) -> list[str]:
    """Fills a ledger, checks it, lets months leave and come back."""
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    async with postgres_database() as (url, described):
        engine = create_engine(url, pool_size=2, for_migrations=True)
        await Schema("inventory").upgrade(engine)
        await fill(engine, movements, stocks)
        await engine.dispose()
        say(f"{movements:,} movements of {stocks:,} stocks; {described}")
        with tempfile.TemporaryDirectory() as folder:
            environment = {
                "INVENTORY_DATABASE_URL": url,
                "INVENTORY_LOG_LEVEL": "warning",
                "INVENTORY_ARCHIVE_DIR": folder,
            }
            async with serving(environment) as (address, pid), grpc.aio.insecure_channel(address) as channel:
                bench = Bench(channel, pid, say)
                async with bench.working() as longest:
                    await asyncio.sleep(IDLE_SECONDS)
                say(f"nothing beside them: longest waits in {IDLE_SECONDS} s: {told(longest)}")
                await bench.check()
                for arguments in ((), ("--drop",), ("restore", "2024-01")):
                    async with bench.working() as longest:
                        seconds, mib = await archive(environment, *arguments)
                    name = " ".join(("archive", *arguments))
                    say(
                        f"{name:15} {seconds:6.1f} s, {mib:.0f} MiB; longest waits beside it: {told(longest)}"
                    )
                say(f"both months' files: {size_mib(Path(folder)):.1f} MiB")
                await bench.check()
    return lines


def main() -> None:
    """Reads the arguments and measures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--movements", type=int, default=1_000_000)
    parser.add_argument("--stocks", type=int, default=10_000)
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the lines are kept")
    arguments = parser.parse_args()
    logs.configure("warning")
    lines = asyncio.run(measure(arguments.movements, arguments.stocks))
    arguments.results.parent.mkdir(exist_ok=True)
    arguments.results.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
