"""The sweeper: it gives back what is due, nothing else, and many of them do it once."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
import structlog
from sqlalchemy import text

from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from inventory_service.workers.reservation_expiry import BATCH, reservation_expiry
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from tests.inventory_service.client import Inventory, refused
from tests.inventory_service.workers.tills import locked


@pytest.fixture
async def transactions(inventory_url: str) -> AsyncIterator[Transactions[SqlUnitOfWork]]:
    """A runner of the sweeper's own."""
    engine = create_engine(inventory_url, pool_size=5)
    yield Transactions(engine, SqlUnitOfWork)
    await engine.dispose()


async def until_free(inventory: Inventory, sku: str, units: int) -> None:
    """Waits until so many units are available."""
    for _ in range(500):
        if (await inventory.levels(sku))[2] == units:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{await inventory.levels(sku)} does not become {units} available")


async def test_due_holds_are_given_back_and_others_stay(
    inventory: Inventory, transactions: Transactions[SqlUnitOfWork]
) -> None:
    await inventory.create("A", 10)
    await inventory.reserve("due", {"A": 3}, ttl=60)
    await inventory.reserve("young", {"A": 2}, ttl=60)
    await inventory.reserve("endless", {"A": 1})
    await inventory.let_expire("due")
    sweeper = reservation_expiry(transactions, idle_seconds=0.05)

    running = asyncio.create_task(sweeper.run())
    await until_free(inventory, "A", 7)
    sweeper.stop()
    await running

    assert await inventory.levels("A") == (10, 3, 7)
    stored = await inventory.everything()
    assert sorted(re.findall("HELD|EXPIRED", str(stored["reservation"]))) == ["EXPIRED", "HELD", "HELD"]


async def test_a_hold_lapses_within_a_second_of_its_time(
    inventory: Inventory, transactions: Transactions[SqlUnitOfWork]
) -> None:
    await inventory.create("A", 10)
    sweeper = reservation_expiry(transactions, idle_seconds=0.5)
    running = asyncio.create_task(sweeper.run())
    await inventory.reserve("r1", {"A": 3}, ttl=1)

    async with asyncio.timeout(2.2):
        await until_free(inventory, "A", 10)

    sweeper.stop()
    await running


async def test_many_sweepers_give_many_holds_back_once(
    inventory: Inventory, transactions: Transactions[SqlUnitOfWork]
) -> None:
    await inventory.create("A", 1000)
    count = BATCH + 20
    await asyncio.gather(*(inventory.reserve(f"r{n}", {"A": 1}, ttl=60) for n in range(count)))
    await inventory.let_expire(*(f"r{n}" for n in range(count)))
    sweepers = [reservation_expiry(transactions, idle_seconds=0.02) for _ in range(4)]

    running = [asyncio.create_task(sweeper.run()) for sweeper in sweepers]
    await until_free(inventory, "A", 1000)
    for sweeper in sweepers:
        sweeper.stop()
    await asyncio.gather(*running)

    assert await inventory.levels("A") == (1000, 0, 1000)


async def test_a_stock_that_others_keep_locked_holds_up_neither_other_holds_nor_sales(
    inventory: Inventory, transactions: Transactions[SqlUnitOfWork], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inventory_service.workers.reservation_expiry.BATCH", 2)
    for sku in ("A", "B"):
        await inventory.create(sku, 10)
    for number in range(3):
        await inventory.reserve(f"a{number}", {"A": 1}, ttl=60)
    await inventory.reserve("b", {"B": 3}, ttl=60)
    await inventory.let_expire("a0", "a1", "a2", seconds_ago=9)
    await inventory.let_expire("b")
    sweeper = reservation_expiry(transactions, idle_seconds=0.05)

    async with locked(inventory, "A"):
        running = asyncio.create_task(sweeper.run())
        async with asyncio.timeout(1.5):
            await until_free(inventory, "B", 10)
            await inventory.reserve("sale", {"B": 10})
    await until_free(inventory, "A", 10)
    sweeper.stop()
    await running

    assert sweeper.failed == 0


async def test_a_hold_that_cannot_be_given_back_stops_no_other_and_is_given_back_once_it_can(
    inventory: Inventory, transactions: Transactions[SqlUnitOfWork], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inventory_service.workers.reservation_expiry.BATCH", 1)
    monkeypatch.setattr("inventory_service.workers.reservation_expiry.PASSED_SECONDS", 0.5)
    for sku in ("A", "B"):
        await inventory.create(sku, 10)
    await inventory.reserve("bad", {"A": 3, "B": 1}, ttl=60)
    await inventory.reserve("good", {"B": 2}, ttl=60)
    await set_reserved(inventory, "A", 0)
    await inventory.let_expire("bad", seconds_ago=9)
    await inventory.let_expire("good")
    sweeper = reservation_expiry(transactions, idle_seconds=0.05)

    with structlog.testing.capture_logs() as logged:
        running = asyncio.create_task(sweeper.run())
        await until_free(inventory, "B", 9)
    assert await inventory.levels("A") == (10, 0, 10)
    kept = [entry["error"] for entry in logged if entry["event"] == "a hold cannot expire"]
    assert kept == ["A has 0 units reserved, of which reservation bad cannot give 3 back"]

    await set_reserved(inventory, "A", 3)
    await until_free(inventory, "A", 10)
    sweeper.stop()
    await running
    assert await inventory.levels("B") == (10, 0, 10)
    assert await inventory.findings() == []


async def test_a_due_hold_that_cannot_be_given_back_keeps_its_units_and_nothing_else(
    inventory: Inventory,
) -> None:
    for sku in ("A", "B"):
        await inventory.create(sku, 10)
    await inventory.reserve("bad", {"A": 3, "B": 1}, ttl=60)
    await set_reserved(inventory, "A", 0)
    await inventory.let_expire("bad")
    before = await inventory.everything()

    refusals = [
        await refused(inventory.reserve("all", {"B": 10})),
        await refused(inventory.release("bad")),
        await refused(inventory.commit("bad")),
    ]

    assert [each.reason for each in refusals] == ["INSUFFICIENT_STOCK", *["STOCK_INCONSISTENT"] * 2]
    assert await inventory.everything() == before
    await inventory.reserve("rest", {"B": 9})
    assert await inventory.levels("B") == (10, 10, 0)
    await set_reserved(inventory, "A", 3)


async def set_reserved(inventory: Inventory, sku: str, units: int) -> None:
    """As somebody writes who knows nothing of holds."""
    statement = text("UPDATE inventory.stock SET reserved_quantity = :units WHERE sku = :sku")
    async with inventory.engine.begin() as connection:
        await connection.execute(statement, {"units": units, "sku": sku})
