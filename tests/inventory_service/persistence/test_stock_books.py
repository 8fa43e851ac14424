"""The books of a batch over a real Postgres: which rows it locks, and in which order."""

import asyncio

import pytest
from sqlalchemy import text

from inventory_service.domain.commands import Actor, ReserveStock
from inventory_service.domain.stock_book import StockBook
from inventory_service.persistence.movements import SqlMovements
from inventory_service.persistence.stock_books import SqlStockBooks
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.transactions import Transactions
from tests.inventory_service.books_contract import CHECKS, Check
from tests.inventory_service.client import Inventory

LOCK = text("SELECT FROM inventory.stock WHERE sku = :sku FOR UPDATE NOWAIT")
WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


@pytest.mark.parametrize("with_due_hold", [False, True], ids=["lines", "due hold"])
async def test_rows_are_always_locked_in_one_order(inventory: Inventory, with_due_hold: bool) -> None:
    """Who waits holds no later row than the one it waits for, be it for the sake of a due hold."""
    for sku in ("A", "B"):
        await inventory.create(sku, 5)
    async with inventory.engine.connect() as blocker:
        ids = text("SELECT sku FROM inventory.stock ORDER BY id")
        first, last = (await blocker.execute(ids)).scalars().all()
        units = {last: 1, first: 1}
        if with_due_hold:
            await inventory.reserve("old", {last: 5, first: 5}, ttl=60)
            await inventory.let_expire("old")
            units = {last: 5}
        await blocker.execute(LOCK, {"sku": first})
        opening = asyncio.create_task(opened(inventory, units))
        async with asyncio.timeout(5):
            while not await somebody_waits(inventory):  # noqa: ASYNC110 - the engine calls nobody
                await asyncio.sleep(0.005)

        await blocker.execute(LOCK, {"sku": last})
        await blocker.rollback()

    book = await opening
    assert [book.level(sku).quantity for sku in (first, last)] == [5, 5]


@pytest.mark.parametrize("check", CHECKS)
async def test_postgres_keeps_the_contract(check: Check, inventory: Inventory) -> None:
    await inventory.create("A", 10)

    await check(Transactions(inventory.engine, SqlUnitOfWork), asyncio.sleep, "A")


async def opened(inventory: Inventory, units: dict[str, int]) -> StockBook:
    async with inventory.engine.connect() as connection:
        books = SqlStockBooks(connection, SqlMovements(connection))
        return await books.open([ReserveStock("r1", "order:1", units, None, Actor("merchant:7"))])


async def somebody_waits(inventory: Inventory) -> bool:
    async with inventory.engine.connect() as connection:
        return bool((await connection.execute(WAITING)).scalar_one())
