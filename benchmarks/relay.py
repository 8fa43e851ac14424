"""The relay by itself: how fast it empties an outbox into a real inventory, and how soon it settles one command.

    python -m benchmarks.relay [--engines mysql mariadb] [--rounds 5] [--waiting 1000]

The relay runs here, over an engine of its own; inventory is a process. Nothing else is asked of either meanwhile.
"""

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.inventory.v1 import inventory_pb2_grpc, stock_pb2
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.database import database, private_server
from benchmarks.statement_steps import Steps, recorded_steps
from delivery_service.gateways.inventory import InventoryGateway, open_channel
from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from delivery_service.workers.outbox_relay import OutboxRelay
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from servicekit.schema.migrations import Schema
from tests.support.services import Pair, migrate

SKUS = 50
STOCK = 1_000_000
LONE = 150
STEPS = 20
PAUSE_SECONDS = 0.04

_FILL = (
    """
INSERT INTO tigu_prepare_goods (id, prepare_sn, order_ids, delivery_type, shipping_type, prepare_status, type, shop_id,
    version, stock_state, attempt, reservation_id, create_time, update_time, legacy_write_time)
VALUES (:n, CONCAT('PG', :n), :n, 0, 1, -1, 0, 1, 1, 1, 1, CONCAT('PG', :n, '-1'), UTC_TIMESTAMP(), UTC_TIMESTAMP(),
    NULL)
""",
    "INSERT INTO tigu_prepare_goods_order VALUES (:n, :n, 0)",
    """
INSERT INTO tigu_prepare_goods_item (prepare_id, order_item_id, sku, quantity, create_time)
VALUES (:n, :n, :sku, 1, UTC_TIMESTAMP())
""",
    """
INSERT INTO outbox (event_id, package_id, package_sn, package_version, command, payload, trace, state,
    next_attempt_time, create_time)
VALUES (LEFT(SHA2(:n, 256), 32), :n, CONCAT('PG', :n), 1, 'RESERVE', :payload, 'bench', 0, UTC_TIMESTAMP(6),
    UTC_TIMESTAMP(6))
""",
)
_HELD = text("SELECT COUNT(*) FROM tigu_prepare_goods WHERE stock_state = 2 AND version = 2")
_OPEN = text("SELECT COUNT(*) FROM outbox WHERE state <> 2")


@dataclass(frozen=True)
class Figures:
    """Entries settled a second and CPU milliseconds of this process for each, by round; milliseconds of lone ones."""

    rates: Sequence[float]
    cpu: Sequence[float]
    lone: Sequence[float]
    steps: Steps

    def lines(self) -> list[str]:
        """For people."""
        lone = sorted(self.lone)
        rate, cpu = statistics.median(self.rates), statistics.median(self.cpu)
        steps = self.steps
        return [
            f"relay, one command: {steps.statements / STEPS:.0f} statements"
            f" in {steps.round_trips / STEPS:.0f} round trips",
            *(
                f"  {statistics.median(seconds) * 1000:7.2f} ms  {len(seconds) / STEPS:4.1f} ×  {name}"
                for name, seconds in steps.taken.items()
                if len(seconds) * 2 >= STEPS
            ),
            f"relay, outbox full: {rate:7.0f} settled a second [{min(self.rates):.0f}, {max(self.rates):.0f}],"
            f" {cpu:.2f} ms of CPU each",
            f"relay, low load: from commit to settled p50 {lone[len(lone) // 2]:.1f} ms,"
            f" p99 {lone[len(lone) * 99 // 100]:.1f} ms, slowest {lone[-1]:.1f} ms ({len(lone)} commands)",
        ]


class Bench:
    """A relay that is told to run and to stop, and the packages it works on."""

    def __init__(self, url: str, gateway: InventoryGateway) -> None:
        self.engine: AsyncEngine = create_engine(url)
        self._gateway = gateway
        self._numbers = itertools.count(1)
        self.settled_at: dict[str, float] = {}
        self._told = asyncio.Event()

    async def fill(self, many: int) -> list[str]:
        """Packages that ask for their hold; answers their numbers."""
        numbers = [next(self._numbers) for _ in range(many)]
        rows = []
        for n in numbers:
            sku = f"TEA-{n % SKUS}"
            payload = f'{{"reservation_id": "PG{n}-1", "lines": {{"{sku}": 1}}}}'
            rows.append({"n": n, "sku": sku, "payload": payload})
        async with self.engine.begin() as connection:
            for statement in _FILL:
                await connection.execute(text(statement), rows)
        return [f"PG{n}" for n in numbers]

    def relay(self, idle_seconds: float = 0.5) -> OutboxRelay:
        """One that tells here what it has settled."""
        transactions = Transactions(self.engine, SqlUnitOfWork)
        return OutboxRelay(
            transactions, self._gateway, self._notify, idle_seconds=idle_seconds, lease_seconds=30
        )

    async def settled(self, package_sns: Sequence[str]) -> float:
        """Waits until all of them are; answers when the last one was."""
        async with asyncio.timeout(300):
            while not all(package_sn in self.settled_at for package_sn in package_sns):
                self._told.clear()
                await self._told.wait()
        return max(self.settled_at[package_sn] for package_sn in package_sns)

    async def require_held(self) -> None:
        """All are held, once each, and nothing is left to send."""
        async with self.engine.connect() as connection:
            held = (await connection.execute(_HELD)).scalar_one()
            assert held == len(self.settled_at), (held, len(self.settled_at))
        assert await self._open() == 0

    async def _open(self) -> int:
        async with self.engine.connect() as connection:
            return int((await connection.execute(_OPEN)).scalar_one())

    def _notify(self, package: object) -> None:
        self.settled_at[str(getattr(package, "package_sn", package))] = time.perf_counter()
        self._told.set()


@asynccontextmanager
async def opened(engine: str) -> AsyncIterator[tuple[Bench, str]]:
    """On fresh databases with durability on; with a line on delivery's engine."""
    with (
        tempfile.TemporaryDirectory(prefix="hf-relay-") as folder,
        private_server("postgres") as (inventory_server, _),
        private_server(engine) as (delivery_server, described),
    ):
        async with database(inventory_server) as inventory_url, database(delivery_server) as url:
            await migrate("inventory", inventory_url)
            migrating = create_engine(url, pool_size=2, for_migrations=True)
            await Schema("delivery").upgrade(migrating)
            await migrating.dispose()
            pair = Pair(inventory_url, url, Path(folder))
            await pair.inventory.start()
            channel = open_channel(pair.inventory.address)
            try:
                stub = inventory_pb2_grpc.InventoryServiceStub(channel)
                for n in range(SKUS):
                    request = stock_pb2.CreateStockRequest(sku=f"TEA-{n}", quantity=STOCK)
                    await stub.CreateStock(request, timeout=10)
                bench = Bench(url, InventoryGateway(channel))
                yield bench, described
                await bench.engine.dispose()
            finally:
                await channel.close()
                await pair.kill()


async def measure(bench: Bench, rounds: int, waiting: int) -> Figures:
    """Full outboxes, one after the other, the first of which does not count; then commands one by one."""
    rates, cpu = [], []
    for _ in range(rounds + 1):
        package_sns = await bench.fill(waiting)
        relay = bench.relay()
        begin, cpu_begin = time.perf_counter(), time.process_time()
        running = asyncio.create_task(relay.run())
        rates.append(waiting / (await bench.settled(package_sns) - begin))
        cpu.append((time.process_time() - cpu_begin) / waiting * 1000)
        relay.stop()
        await running
        await bench.require_held()
    lone = await _lone(bench)
    return Figures(rates[1:], cpu[1:], lone, await _steps(bench))


async def _lone(bench: Bench) -> list[float]:
    relay = bench.relay()
    running = asyncio.create_task(relay.run())
    committed: dict[str, float] = {}
    for _ in range(LONE):
        [package_sn] = await bench.fill(1)
        committed[package_sn] = time.perf_counter()
        relay.nudge()
        await asyncio.sleep(PAUSE_SECONDS)
    await bench.settled(list(committed))
    relay.stop()
    await running
    await bench.require_held()
    return [(bench.settled_at[package_sn] - begin) * 1000 for package_sn, begin in committed.items()]


async def _steps(bench: Bench) -> Steps:
    """What the relay sends for one command after the other, which it is told of."""
    relay = bench.relay(idle_seconds=600)
    running = asyncio.create_task(relay.run())
    await asyncio.sleep(0.5)
    recorded = Steps()
    for _ in range(STEPS):
        package_sns = await bench.fill(1)
        with recorded_steps() as steps:
            relay.nudge()
            await bench.settled(package_sns)
            await asyncio.sleep(PAUSE_SECONDS)
        for name, seconds in steps.taken.items():
            recorded.taken[name] += seconds
    relay.stop()
    await running
    return recorded


async def measure_relay(engine: str, rounds: int, waiting: int) -> list[str]:
    """Lines for people."""
    async with opened(engine) as (bench, described):
        return [described, *(await measure(bench, rounds, waiting)).lines()]


async def main() -> None:
    """Measures both engines."""
    parser = argparse.ArgumentParser("benchmarks.relay", description=__doc__)
    parser.add_argument("--engines", nargs="+", default=["mysql", "mariadb"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--waiting", type=int, default=1_000)
    arguments = parser.parse_args()
    for engine in arguments.engines:
        print("\n".join(await measure_relay(engine, arguments.rounds, arguments.waiting)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
