"""The counter of movements: each counts once, whoever counts and whenever it became visible."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from holdfast.inventory.v1 import reports_pb2 as pb
from sqlalchemy import text

from inventory_service.application.count_movements import count_movements
from inventory_service.workers.fact_counting import BATCH, fact_counting
from tests.inventory_service.client import Inventory
from tests.inventory_service.history import BY_SKU, count_all, counter, facts, instant, move
from tests.support.forks import run_command

pytestmark = pytest.mark.usefixtures("past_months")


MANY = text("""
    INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)
    SELECT CAST(:start AS timestamptz) + make_interval(mins => n), id, 1, 'RECEIVED', 'test'
    FROM inventory.stock CROSS JOIN generate_series(0, :count - 1) n
""")


async def many(inventory: Inventory, count: int, start: str) -> None:
    """So many movements of one unit of the only stock, a minute after each other."""
    async with inventory.engine.begin() as connection:
        await connection.execute(MANY, {"count": count, "start": instant(start).ToDatetime()})
        await connection.execute(text("UPDATE inventory.stock SET quantity = quantity + :n"), {"n": count})


async def until_counted(inventory: Inventory) -> None:
    """Waits until no movement is left to count."""
    left = text("SELECT count(*) FROM inventory.uncounted_movement")
    for _ in range(500):
        async with inventory.engine.connect() as connection:
            if (await connection.execute(left)).scalar() == 0:
                return
        await asyncio.sleep(0.02)
    raise AssertionError("movements are left uncounted")


async def test_a_movement_that_becomes_visible_after_later_ones_is_counted_too(
    inventory: Inventory, inventory_url: str
) -> None:
    await inventory.create("A")
    await inventory.create("B")
    async with inventory.engine.connect() as slow:
        await move(slow, "A", 1, "RECEIVED", "2026-03-01T12:00:00+00:00")
        async with inventory.engine.begin() as quick:
            await move(quick, "B", 2, "RECEIVED", "2026-03-01T12:00:01+00:00")
        await count_all(inventory_url)
        assert await facts(inventory, grouping=BY_SKU) == [("2026-03-01", "B", 2, 0, 0, 0)]
        await slow.commit()

    await count_all(inventory_url)

    assert await facts(inventory, grouping=BY_SKU) == [
        ("2026-03-01", "B", 2, 0, 0, 0),
        ("2026-03-01", "A", 1, 0, 0, 0),
    ]


async def test_many_counters_beside_writers_count_each_movement_once(
    inventory: Inventory, inventory_url: str
) -> None:
    await inventory.create("A", 10_000)
    async with AsyncExitStack() as stack:
        runners = [await stack.enter_async_context(counter(inventory_url)) for _ in range(4)]
        counters = [fact_counting(runner, idle_seconds=0.001) for runner in runners]
        running = [asyncio.create_task(each.run()) for each in counters]

        for wave in range(3):
            await asyncio.gather(*(inventory.adjust("A", 1, f"w{wave}q{n}") for n in range(40)))
        await until_counted(inventory)
        for each in counters:
            each.stop()
        await asyncio.gather(*running)

    assert [row[2:] for row in await facts(inventory, grouping=BY_SKU)] == [(120, 0, 0, 10_000)]


@pytest.mark.parametrize("place", ["facts.after_count", "facts.before_commit", "facts.after_commit"])
async def test_what_a_dying_server_was_counting_counts_once(
    inventory: Inventory, inventory_url: str, place: str
) -> None:
    await inventory.create("A", 5)
    settings = {"INVENTORY_DATABASE_URL": inventory_url, "INVENTORY_LISTEN": "127.0.0.1:0"}
    dying = settings | {"INVENTORY_LOG_LEVEL": "error", "HOLDFAST_CRASH_AT": place}
    async with asyncio.timeout(20):
        assert (await run_command("inventory", "serve", **dying)).code == 137
    assert [row[5] for row in await facts(inventory)] == ([5] if place == "facts.after_commit" else [])

    await count_all(inventory_url)

    assert [row[5] for row in await facts(inventory)] == [5]


async def test_it_catches_up_after_days_off_in_batches_and_goes_on(
    inventory: Inventory, inventory_url: str
) -> None:
    await inventory.create("A")
    await many(inventory, 2 * BATCH + 320, "2026-03-01T00:00:00")
    async with counter(inventory_url) as transactions:
        first = await transactions.run(lambda uow: count_movements(BATCH, uow))
        listed = await inventory.stub.ListDailyFacts(pb.ListDailyFactsRequest())

        poller = fact_counting(transactions, idle_seconds=0.01)
        running = asyncio.create_task(poller.run())
        await until_counted(inventory)
        await inventory.adjust("A", 1, "q1")
        await until_counted(inventory)
        poller.stop()
        await running

    assert first.counted == BATCH
    assert listed.facts_through_time == instant("2026-03-02T09:20:00")
    days = [row[:3] for row in await facts(inventory, grouping=BY_SKU)]
    assert days[1:] == [("2026-03-03", "A", 1440), ("2026-03-02", "A", 1440), ("2026-03-01", "A", 1440)]


async def test_commands_go_on_while_nobody_can_touch_the_facts(
    inventory: Inventory, inventory_url: str
) -> None:
    async with inventory.engine.connect() as blocker:
        await blocker.execute(
            text("LOCK analytics.daily_stock_fact, analytics.daily_status_fact IN ACCESS EXCLUSIVE MODE")
        )
        async with asyncio.timeout(2):
            await inventory.create("A", 5)
            await inventory.adjust("A", 4, "q1")
            await inventory.reserve("r1", {"A": 3})
            await inventory.commit("r1")
            await inventory.release("r2")
        await blocker.rollback()

    await count_all(inventory_url)

    assert [row[2:] for row in await facts(inventory, grouping=BY_SKU)] == [(4, 3, 0, 5)]
