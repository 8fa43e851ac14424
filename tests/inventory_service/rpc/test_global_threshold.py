"""The threshold of stocks without one of their own: applied to all of them by and by, and to what changes at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from tests.inventory_service.client import Inventory
from tests.inventory_service.low_stocks import WRITTEN, listed, low, set_threshold, write

WAITED_FOR = text(
    "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database"
    " WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted)"
)


@pytest.fixture
async def transactions(inventory_url: str) -> AsyncIterator[Transactions[SqlUnitOfWork]]:
    """A runner of the poller's steps."""
    engine = create_engine(inventory_url, pool_size=2)
    yield Transactions(engine, SqlUnitOfWork)
    await engine.dispose()


async def apply_default(transactions: Transactions[SqlUnitOfWork], size: int = 2) -> int:
    """What the poller does with a new global threshold; the number of transactions that it took."""
    for count in range(1, 1000):
        if not await transactions.run(lambda uow: uow.low_stocks.apply_default(size)):
            return count
    raise AssertionError("the threshold is applied for ever")


async def somebody_waits(inventory: Inventory) -> None:
    """Returns once a session waits for a lock that stands for no row."""
    async with asyncio.timeout(5), inventory.engine.connect() as connection:
        while not (await connection.execute(WAITED_FOR)).scalar():  # noqa: ASYNC110 - asked of the database
            await asyncio.sleep(0.02)


async def test_a_threshold_of_its_own_goes_before_the_global_one(
    inventory: Inventory, transactions: Transactions[SqlUnitOfWork]
) -> None:
    for sku, units in (("A", 5), ("B", 5), ("C", 9)):
        await inventory.create(sku, units)
    await set_threshold(inventory, "B", 2)
    everywhere = await set_threshold(inventory, threshold=6)
    assert (everywhere.sku, everywhere.threshold) == ("", 6)
    await apply_default(transactions)
    assert await low(inventory) == {"A": (5, 6)}

    own_again = await set_threshold(inventory, "B")
    assert (own_again.threshold, own_again.never_low) == (6, False)
    assert await low(inventory) == {"A": (5, 6), "B": (5, 6)}

    nothing = await set_threshold(inventory)
    assert (nothing.threshold, nothing.never_low) == (0, True)
    await apply_default(transactions)
    assert await low(inventory) == {}
    assert (await set_threshold(inventory, "A")).never_low


async def test_a_new_global_threshold_says_since_when_it_is_being_applied(
    inventory: Inventory, transactions: Transactions[SqlUnitOfWork]
) -> None:
    for number in range(5):
        await inventory.create(f"S{number}", number)
    await set_threshold(inventory, threshold=2)

    pending = await listed(inventory)
    assert list(pending.low_stocks) == []
    assert pending.HasField("applying_since_time")
    # Whatever changes meanwhile is judged by the new threshold already.
    await inventory.reserve("r1", {"S4": 2})
    assert await low(inventory) == {"S4": (2, 2)}
    await transactions.run(lambda uow: uow.low_stocks.apply_default(3))
    assert (await listed(inventory)).applying_since_time == pending.applying_since_time

    assert await apply_default(transactions) == 2
    assert await low(inventory) == {"S4": (2, 2)} | {f"S{n}": (n, 2) for n in range(3)}
    assert not (await listed(inventory)).HasField("applying_since_time")


async def test_a_command_that_judged_by_the_old_global_threshold_is_not_missed(
    inventory: Inventory, transactions: Transactions[SqlUnitOfWork]
) -> None:
    await inventory.create("A", 9)

    async with inventory.engine.connect() as connection:
        await connection.execute(WRITTEN, {"quantity": 1})
        setting = asyncio.create_task(set_threshold(inventory, threshold=2))
        applying = asyncio.create_task(apply_default(transactions))
        await somebody_waits(inventory)
        assert not setting.done()
        await connection.commit()
    await setting
    await applying
    await apply_default(transactions)

    assert await low(inventory) == {"A": (1, 2)}
    await write(inventory, 9)


async def test_a_stock_that_is_made_low_is_low_at_once(
    inventory: Inventory, transactions: Transactions[SqlUnitOfWork]
) -> None:
    await set_threshold(inventory, threshold=2)
    await apply_default(transactions)

    await inventory.create("A", 2)

    assert await low(inventory) == {"A": (2, 2)}
