"""The sweeper: it gives back what is due, nothing else, and many of them do it once."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from inventory_service.workers.reservation_expiry import BATCH, reservation_expiry
from servicekit.engines import create_engine
from servicekit.transactions import Transactions
from tests.inventory_service.client import Inventory


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
