"""The poller of low stock: each alert is announced, by one replica, and ended ones are forgotten."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from holdfast.inventory.v1 import reports_pb2 as pb
from sqlalchemy import text
from structlog.testing import capture_logs

from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from inventory_service.workers.low_stock import NEWS, low_stock
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from tests.inventory_service.client import Inventory
from tests.inventory_service.serving import dies_at
from tests.inventory_service.transfers import imported

Runner = Transactions[SqlUnitOfWork]


@pytest.fixture
async def transactions(inventory_url: str) -> AsyncIterator[Runner]:
    """A runner of the poller's own."""
    engine = create_engine(inventory_url, pool_size=6)
    yield Transactions(engine, SqlUnitOfWork)
    await engine.dispose()


async def busy(transactions: Runner) -> bool:
    """Whether pollers have anything to do."""

    async def look(uow: SqlUnitOfWork) -> bool:
        # In this order: applying a default makes news, and ends with them.
        return await uow.low_stocks.applying_since() is not None or await uow.low_stocks.has_news()

    return await transactions.read(look)


async def announced(transactions: Runner, *, pollers: int = 1) -> list[dict[str, Any]]:
    """What pollers say until there is nothing more to do."""
    all_of_them = [low_stock(transactions, idle_seconds=0.02) for _ in range(pollers)]
    with capture_logs() as logs:
        running = [asyncio.create_task(poller.run()) for poller in all_of_them]
        for _ in range(500):
            await asyncio.sleep(0.02)
            if not await busy(transactions):
                break
        for poller in all_of_them:
            poller.stop()
        await asyncio.gather(*running)
    return [dict(line) for line in logs if line["event"] == "stock is low"]


async def set_threshold(inventory: Inventory, sku: str, threshold: int) -> None:
    """SetStockThreshold."""
    request = pb.SetStockThresholdRequest(sku=sku, threshold=threshold)
    await inventory.stub.SetStockThreshold(request, timeout=10)


async def alerts(inventory: Inventory) -> int:
    """How many alerts are kept."""
    async with inventory.engine.connect() as connection:
        count: int = (
            await connection.execute(text("SELECT count(*) FROM inventory.stock_alert"))
        ).scalar_one()
    return count


async def test_an_alert_is_one_line_and_stays_one(inventory: Inventory, transactions: Runner) -> None:
    await inventory.create("A", 9)
    await set_threshold(inventory, "A", 5)
    assert await announced(transactions) == []

    await inventory.reserve("r1", {"A": 4})
    [line] = await announced(transactions)
    [low] = (await inventory.stub.ListLowStock(pb.ListLowStockRequest(), timeout=10)).low_stocks

    assert (line["log_level"], line["sku"], line["available_quantity"], line["threshold"]) == (
        "warning",
        "A",
        5,
        5,
    )
    assert line["low_since_time"] == low.low_since_time.ToDatetime().isoformat() + "+00:00"
    await inventory.reserve("r2", {"A": 1})
    assert await announced(transactions) == []


async def test_what_was_low_for_a_moment_is_announced_as_it_was_and_then_forgotten(
    inventory: Inventory, transactions: Runner
) -> None:
    await inventory.create("A", 9)
    await set_threshold(inventory, "A", 5)
    for number in range(3):
        await inventory.reserve(f"r{number}", {"A": 5 + number})
        await inventory.release(f"r{number}")

    lines = await announced(transactions)

    assert [line["available_quantity"] for line in lines] == [4, 3, 2]
    assert await alerts(inventory) == 0


async def ended_alerts(inventory: Inventory, number: int) -> None:
    """Adds alerts of a stock that were announced and have ended."""
    await inventory.create("A", 9)
    add = text(
        "INSERT INTO inventory.stock_alert"
        " (stock_id, threshold, available_quantity, low_since_time, end_time, announced)"
        " SELECT id, 5, 4, now(), now(), true FROM inventory.stock, generate_series(1, :number)"
    )
    async with inventory.engine.begin() as connection:
        await connection.execute(add, {"number": number})


async def test_one_transaction_forgets_so_many_ended_alerts_and_no_more(
    inventory: Inventory, transactions: Runner
) -> None:
    await ended_alerts(inventory, 25)

    left = []
    for _ in range(3):
        forgotten = await transactions.run(lambda uow: uow.low_stocks.forget_ended(10))
        left.append((forgotten, await alerts(inventory)))

    assert left == [(10, 15), (10, 5), (5, 0)]


async def test_ended_alerts_are_forgotten_without_a_pause_between_the_parts(
    inventory: Inventory, transactions: Runner
) -> None:
    await ended_alerts(inventory, 2 * NEWS + 1)
    poller = low_stock(transactions, idle_seconds=86_400)

    running = asyncio.create_task(poller.run())
    for _ in range(250):
        await asyncio.sleep(0.02)
        if not await alerts(inventory):
            break
    poller.stop()
    await running

    assert await alerts(inventory) == 0


async def test_many_replicas_announce_each_alert_once(inventory: Inventory, transactions: Runner) -> None:
    skus = [f"S{number}" for number in range(120)]
    await asyncio.gather(*(inventory.create(sku, 1) for sku in skus))
    await asyncio.gather(*(set_threshold(inventory, sku, 1) for sku in skus))

    lines = await announced(transactions, pollers=4)

    assert sorted(line["sku"] for line in lines) == sorted(skus)


@pytest.mark.parametrize(("place", "again"), [("announce.before_commit", 1), ("announce.after_commit", 0)])
async def test_a_server_that_dies_as_it_announces_says_it_again_rather_than_never(
    inventory: Inventory, inventory_url: str, transactions: Runner, place: str, again: int
) -> None:
    await inventory.create("A", 9)
    await set_threshold(inventory, "A", 5)
    await inventory.reserve("r1", {"A": 4})

    assert "stock is low" in await dies_at(inventory_url, place)

    assert len(await announced(transactions)) == again
    assert await announced(transactions) == []


@pytest.mark.parametrize(
    ("place", "left"), [("apply_threshold.before_commit", True), ("apply_threshold.after_commit", False)]
)
async def test_a_global_threshold_outlives_a_server_that_dies_as_it_applies_it(
    inventory: Inventory, inventory_url: str, transactions: Runner, place: str, left: bool
) -> None:
    await asyncio.gather(*(inventory.create(f"S{number}", number) for number in range(4)))
    await set_threshold(inventory, "", 2)

    await dies_at(inventory_url, place)

    asked = pb.ListLowStockRequest()
    assert (await inventory.stub.ListLowStock(asked, timeout=10)).HasField("applying_since_time") is left
    lines = await announced(transactions)
    assert sorted(line["sku"] for line in lines) == ["S0", "S1", "S2"]
    answer = await inventory.stub.ListLowStock(asked, timeout=10)
    assert not answer.HasField("applying_since_time")
    assert len(answer.low_stocks) == 3


async def test_a_new_global_threshold_reaches_every_stock_within_a_moment(
    inventory: Inventory, transactions: Runner
) -> None:
    await asyncio.gather(*(inventory.create(f"S{number}", number) for number in range(20)))
    await set_threshold(inventory, "S3", 0)
    await set_threshold(inventory, "", 9)

    lines = await announced(transactions)

    assert sorted(line["sku"] for line in lines) == sorted(f"S{n}" for n in range(10) if n != 3)
    answer = await inventory.stub.ListLowStock(pb.ListLowStockRequest(), timeout=10)
    assert not answer.HasField("applying_since_time")
    assert len(answer.low_stocks) == 9


async def test_a_stock_that_comes_by_an_import_is_announced_only_if_it_comes_low(
    inventory: Inventory, transactions: Runner
) -> None:
    await set_threshold(inventory, "", 5)
    await announced(transactions)

    await imported(inventory, [("A", 100), ("B", 5), ("C", 0), ("D", 6)])

    lines = await announced(transactions)
    assert sorted((line["sku"], line["available_quantity"]) for line in lines) == [("B", 5), ("C", 0)]
