"""The ledger has its partitions before their months begin, and what strayed comes home."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from inventory_service.domain.ledger import LedgerMonth
from inventory_service.workers.ledger_preparation import ledger_preparation
from tests.inventory_service.client import Inventory
from tests.inventory_service.ledger import JANUARY, Ledger
from tests.inventory_service.serving import dies_at


@pytest.fixture
async def ledger(inventory: Inventory) -> AsyncIterator[Ledger]:
    """The ledger with a stock P0, but without the partitions of this month and of the two after it."""
    ledger = Ledger(inventory.engine)
    await inventory.create("P0", 5)
    await ledger.execute("TRUNCATE inventory.stock_movement, inventory.uncounted_movement")
    await ledger.execute("UPDATE inventory.stock SET quantity = 0")
    for table in await months(ledger, 3):
        await ledger.execute(f"DROP TABLE inventory.{table}")
    yield ledger
    async with preparing(ledger, 12):
        await until_there(ledger, 13)
    await ledger.clear()


async def months(ledger: Ledger, count: int) -> list[str]:
    """The names of the partitions of this month and of those after it."""
    found = await ledger.rows(
        "SELECT 'stock_movement_' || to_char(date_trunc('month', now() AT TIME ZONE 'UTC')"
        " + make_interval(months => n), 'YYYY_MM') FROM generate_series(0, 12) n"
    )
    return [name for (name,) in found][:count]


@asynccontextmanager
async def preparing(ledger: Ledger, months_ahead: int, replicas: int = 1) -> AsyncIterator[None]:
    """Replicas of the worker that look all the time."""
    pollers = [
        ledger_preparation(ledger.transactions, months_ahead, idle_seconds=0.05) for _ in range(replicas)
    ]
    running = [asyncio.create_task(poller.run()) for poller in pollers]
    yield
    for poller in pollers:
        poller.stop()
    await asyncio.gather(*running)


async def until_there(ledger: Ledger, count: int) -> None:
    """Waits until so many months have partitions."""
    wanted = set(await months(ledger, count))
    for _ in range(200):
        if wanted <= set(await ledger.tables()):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"there is no partition for some of {wanted}")


async def test_missing_partitions_are_found_made_and_like_the_others(
    inventory: Inventory, ledger: Ledger
) -> None:
    this_month, next_month, third = await months(ledger, 3)
    assert [finding.split(": ")[1] for finding in await inventory.findings()] == [
        f"the ledger has no partition for {month[-7:].replace('_', '-')}"
        for month in (this_month, next_month)
    ]

    async with preparing(ledger, 1, replicas=3):
        await until_there(ledger, 2)

    assert third not in await ledger.tables()
    assert await inventory.findings() == []
    await inventory.adjust("P0", 3, "first")
    assert await ledger.rows("SELECT tableoid::regclass::text FROM inventory.stock_movement") == [
        (f"inventory.{this_month}",)
    ]
    indexes = await ledger.rows(
        "SELECT indrelid::regclass::text, count(*) FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid"
        " WHERE inhparent IN (SELECT indexrelid FROM pg_index"
        "   WHERE indrelid = 'inventory.stock_movement'::regclass)"
        " GROUP BY 1"
    )
    assert {count for _, count in indexes} == {5}
    assert (f"inventory.{next_month}", 5) in indexes


@pytest.mark.parametrize(("place", "made"), [("prepare.before_commit", 0), ("prepare.after_commit", 1)])
async def test_a_partition_whose_server_died_is_there_whole_or_made_by_the_next(
    inventory: Inventory, inventory_url: str, ledger: Ledger, place: str, made: int
) -> None:
    wanted = set(await months(ledger, 3))

    await dies_at(inventory_url, place)

    assert len(wanted & set(await ledger.tables())) == made
    async with preparing(ledger, 2):
        await until_there(ledger, 3)
    await inventory.adjust("P0", 3, "first")
    assert await inventory.findings() == []


async def test_what_strayed_is_told_counted_and_moved_into_its_month(
    inventory: Inventory, ledger: Ledger
) -> None:
    this_month, *_ = await months(ledger, 1)
    await inventory.adjust("P0", 3, "stray")
    await inventory.adjust("P0", -1, "stray too")
    assert await ledger.rows("SELECT count(*) FROM inventory.stock_movement_default") == [(2,)]
    found = await inventory.findings()
    assert f"{this_month[-7:].replace('_', '-')}: 2 movements have no partition of their own" in found
    assert await inventory.levels("P0") == (2, 0, 2)

    async with preparing(ledger, 2):
        await until_there(ledger, 3)

    assert await ledger.rows("SELECT tableoid::regclass::text, delta FROM inventory.stock_movement") == [
        (f"inventory.{this_month}", 3),
        (f"inventory.{this_month}", -1),
    ]
    assert await inventory.findings() == []


async def test_movements_of_a_month_of_the_past_get_a_partition_late(
    inventory: Inventory, ledger: Ledger
) -> None:
    await ledger.enter("P0", 4, JANUARY.start + timedelta(hours=1))

    async with preparing(ledger, 2):
        await until_there(ledger, 3)

    assert await ledger.rows("SELECT tableoid::regclass::text FROM inventory.stock_movement") == [
        ("inventory.stock_movement_2024_01",)
    ]
    assert await inventory.findings() == []


async def test_what_strays_for_good_is_logged(inventory: Inventory, ledger: Ledger) -> None:
    await ledger.enter("P0", 4, LedgerMonth(2199, 12).start)

    with capture_logs() as logs:
        async with preparing(ledger, 2):
            await until_there(ledger, 3)
            await asyncio.sleep(0.2)

    told = {(entry["month"], entry["movements"]) for entry in logs if entry["log_level"] == "warning"}
    assert told == {("2199-12", 1)}
    made = {entry["month"] for entry in logs if entry["event"] == "partition made"}
    assert made == {str(LedgerMonth.parse(name[-7:].replace("_", "-"))) for name in await months(ledger, 3)}


async def test_a_long_reader_delays_a_partition_and_no_writer(inventory: Inventory, ledger: Ledger) -> None:
    async with ledger.engine.connect() as reader:
        await reader.exec_driver_sql("SELECT count(*) FROM inventory.stock_movement")
        async with preparing(ledger, 2):
            for number in range(20):
                await inventory.adjust("P0", 1, f"beside {number}")
                await asyncio.sleep(0.05)
            assert (await months(ledger, 1))[0] not in await ledger.tables()
            await reader.rollback()
            await until_there(ledger, 3)

    assert await inventory.levels("P0") == (20, 0, 20)
    assert await inventory.findings() == []
