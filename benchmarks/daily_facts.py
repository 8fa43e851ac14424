"""Daily facts: what noting a movement costs its writer, and how fast the counter follows and catches up.

    python -m benchmarks.daily_facts [--movements 200000] [--seconds 8] [--results FILE]

Server and callers share a process, Postgres has one of its own. Writers reserve and commit one unit, each call
waited for before the next; rounds without and with the notes' trigger take turns.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import grpc
from holdfast.inventory.v1 import inventory_pb2_grpc, reports_pb2, reservation_pb2
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.database import postgres_database
from inventory_service import bootstrap
from inventory_service.application.count_movements import count_movements
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from inventory_service.settings import Settings
from inventory_service.workers.fact_counting import BATCH
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from servicekit.process.server import Server
from servicekit.schema.migrations import Schema
from servicekit.telemetry import logs

RESULTS = Path(__file__).parent / "results/daily_facts.txt"
STOCKS = 10_000
WRITERS = 8
ROUNDS = 5
RUNS = 30
DAYS = 30

ADD_STOCKS = text("""
    INSERT INTO inventory.stock (sku, quantity, listed_on_platforms)
    SELECT 'S' || n, 1000000, CASE WHEN n % 3 = 0 THEN
        '[{"platform": "ebay", "listing_id": "E1", "status": "active", "listed_at": "2026-01-01T00:00:00Z"}]'::jsonb
    END FROM generate_series(1, :stocks) n
""")
ADD_MOVEMENTS = text("""
    INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)
    SELECT now() - make_interval(secs => 86400.0 * :days * n / :movements), id, 1, 'RECEIVED', 'benchmark'
    FROM generate_series(1, :movements) n JOIN inventory.stock ON sku = 'S' || (n % :stocks + 1)
""")
ON, OFF = (
    text(f"ALTER TABLE inventory.stock_movement {verb} TRIGGER note_movements")
    for verb in ("ENABLE", "DISABLE")
)
SHOP = (("actor-role", "system"), ("actor-id", "benchmark"))

Say = Callable[[str], None]


async def execute(engine: AsyncEngine, statement: TextClause, **values: object) -> None:
    """Runs one statement and commits it."""
    async with engine.begin() as connection:
        await connection.execute(statement, values)


async def write(stub: "inventory_pb2_grpc.InventoryServiceAsyncStub", seconds: float, writer: int) -> int:
    """Reserves and commits until the time is over; answers how often."""
    until, done = time.perf_counter() + seconds, 0
    while time.perf_counter() < until:
        key = uuid4().hex
        line = reservation_pb2.ReservationLine(
            sku=f"S{(writer * 1237 + done * 7919) % STOCKS + 1}", quantity=1
        )
        request = reservation_pb2.ReserveStockRequest(reservation_id=key, holder="benchmark", lines=[line])
        await stub.ReserveStock(request, metadata=SHOP, timeout=10)
        commit = reservation_pb2.CommitReservationRequest(reservation_id=key)
        await stub.CommitReservation(commit, metadata=SHOP, timeout=10)
        done += 1
    return done


async def writers(engine: AsyncEngine, channel: grpc.aio.Channel, seconds: float, say: Say) -> None:
    """Rates without and with the trigger, in turns; the first round of both is not counted."""
    stub = inventory_pb2_grpc.InventoryServiceStub(channel)
    rates: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(ROUNDS + 1):
        for noting in (False, True):
            await execute(engine, ON if noting else OFF)
            done = await asyncio.gather(*(write(stub, seconds, writer) for writer in range(WRITERS)))
            rates[noting].append(sum(done) / seconds)
    for noting, label in ((False, "without"), (True, "with")):
        counted = rates[noting][1:]
        told = " ".join(f"{rate:.0f}" for rate in counted)
        median = statistics.median(counted)
        say(f"reserve + commit a second, {WRITERS} writers, {label:8} notes: {median:6.0f}  ({told})")
    ratios = [having / without for having, without in zip(rates[True][1:], rates[False][1:], strict=True)]
    say(f"with/without, round by round: median {statistics.median(ratios):.3f}")


async def statements(engine: AsyncEngine, say: Say) -> None:
    """The same upon the engine alone: one movement a statement, many a transaction."""
    loop = text("""
        DO $$
        DECLARE stock uuid := (SELECT id FROM inventory.stock WHERE sku = 'S3');
        BEGIN
            FOR n IN 1..10000 LOOP
                INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)
                VALUES (clock_timestamp(), stock, 1, 'RECEIVED', 'benchmark');
            END LOOP;
        END $$
    """)
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(ROUNDS):
        for noting in (False, True):
            await execute(engine, ON if noting else OFF)
            begin = time.perf_counter()
            await execute(engine, loop)
            times[noting].append((time.perf_counter() - begin) * 100)
    without, having = (statistics.median(times[noting]) for noting in (False, True))
    say(f"one INSERT of a movement: {without:.0f} µs without notes, {having:.0f} µs with")


async def lag(engine: AsyncEngine, channel: grpc.aio.Channel, seconds: float, say: Say) -> None:
    """How far the facts are behind while the writers write."""
    stub = inventory_pb2_grpc.InventoryServiceStub(channel)
    writing = [asyncio.create_task(write(stub, seconds, writer)) for writer in range(WRITERS)]
    behind = []
    while not all(task.done() for task in writing):
        answer = await stub.ListDailyFacts(reports_pb2.ListDailyFactsRequest(page_size=1), timeout=10)
        behind.append(time.time() - answer.facts_through_time.ToNanoseconds() / 1e9)
        await asyncio.sleep(0.1)
    say(f"facts behind the writers: median {statistics.median(behind):.2f} s, worst {max(behind):.2f} s")


async def catch_up(engine: AsyncEngine, movements: int, say: Say) -> None:
    """Counts a ledger that nobody counted, from its first fill on."""
    await Schema("inventory").downgrade(engine, "0009")
    begin = time.perf_counter()
    await execute(engine, ADD_MOVEMENTS, days=DAYS, movements=movements, stocks=STOCKS)
    say(
        f"{movements} movements of {DAYS} days in {STOCKS} stocks made in {time.perf_counter() - begin:.0f} s"
    )
    begin = time.perf_counter()
    await Schema("inventory").upgrade(engine, "0010")
    say(f"revision 0010 notes them in {time.perf_counter() - begin:.1f} s")
    await Schema("inventory").upgrade(engine)
    transactions = Transactions(engine, SqlUnitOfWork)
    begin, batches = time.perf_counter(), []
    while True:
        start = time.perf_counter()
        if not (await transactions.run(lambda uow: count_movements(BATCH, uow))).counted:
            break
        batches.append(time.perf_counter() - start)
    took = time.perf_counter() - begin
    say(
        f"the counter takes {took:.1f} s, {movements / took:.0f} movements a second;"
        f" a batch of {BATCH} median {statistics.median(batches) * 1000:.0f} ms, worst {max(batches) * 1000:.0f} ms"
    )
    async with engine.connect() as connection:
        for table in (
            "inventory.uncounted_movement",
            "analytics.daily_stock_fact",
            "analytics.daily_status_fact",
        ):
            size = (
                await connection.execute(text("SELECT pg_total_relation_size(:t)"), {"t": table})
            ).scalar_one()
            say(f"{table}: {size / 2**20:.1f} MiB")


async def reads(channel: grpc.aio.Channel, say: Say) -> None:
    """ListDailyFacts over all days, and of one stock."""
    stub = inventory_pb2_grpc.InventoryServiceStub(channel)
    by_sku = reports_pb2.DAILY_FACT_GROUPING_SKU
    requests = {
        "all days by status and platform": reports_pb2.ListDailyFactsRequest(page_size=1000),
        "1,000 rows by sku": reports_pb2.ListDailyFactsRequest(grouping=by_sku, page_size=1000),
        "all days of one sku": reports_pb2.ListDailyFactsRequest(
            grouping=by_sku, sku="S4711", page_size=1000
        ),
    }
    for label, request in requests.items():
        times = []
        for _ in range(RUNS):
            begin = time.perf_counter()
            answer = await stub.ListDailyFacts(request, timeout=10)
            times.append((time.perf_counter() - begin) * 1000)
        say(f"ListDailyFacts, {label} ({len(answer.facts)} rows): median {statistics.median(times):.1f} ms")


async def measure(movements: int, seconds: float, say: Say) -> None:
    """All of it, on one private database."""
    async with AsyncExitStack() as stack:
        url, server_line = await stack.enter_async_context(postgres_database())
        say(server_line)
        engine = create_engine(url, pool_size=3, for_migrations=True)
        stack.push_async_callback(engine.dispose)
        await Schema("inventory").upgrade(engine)
        await execute(engine, ADD_STOCKS, stocks=STOCKS)
        await execute(engine, text("ANALYZE inventory.stock"))
        await catch_up(engine, movements, say)
        settings = Settings(database_url=url, listen="127.0.0.1:0", drain_pause_seconds=0)
        server = Server(bootstrap.build(settings))
        address = f"127.0.0.1:{await server.start()}"
        stack.push_async_callback(server.stop)
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(address))
        await reads(channel, say)
        await statements(engine, say)
        await writers(engine, channel, seconds, say)
        await lag(engine, channel, seconds, say)


def main() -> None:
    """Measures, prints each line at once, and keeps them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--movements", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    logs.configure("error")
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    asyncio.run(measure(arguments.movements, arguments.seconds, say))
    arguments.results.parent.mkdir(exist_ok=True)
    arguments.results.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
