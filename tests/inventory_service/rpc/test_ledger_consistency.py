"""The ledger is checked with all its parts: months in the archive, stocks that are gone, stocks nobody knows."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from holdfast.inventory.v1 import movement_pb2
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from inventory_service.persistence.ledger_partitions import LEDGER_STAYS
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.conflicts import lock_wait_ended
from servicekit.persistence.transactions import Transactions
from tests.inventory_service.client import Inventory, refused
from tests.inventory_service.ledger import JANUARY, Ledger

STRANGER = "00000000-0000-0000-0000-0000000000aa"


@pytest.fixture
async def ledger(inventory: Inventory) -> AsyncIterator[Ledger]:
    """The ledger behind the service's back; what a test damages is cleared away."""
    ledger = Ledger(inventory.engine)
    yield ledger
    await ledger.clear()


async def test_movements_of_a_stock_that_nobody_knows_are_found(inventory: Inventory, ledger: Ledger) -> None:
    await inventory.create("A", 5)
    add = (
        "INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)"
        " VALUES (now(), :id, 4, 'FOUND', 'nobody')"
    )
    await ledger.execute(add, id=STRANGER)

    assert f"{STRANGER}: quantity is 0, the sum of its movements is 4" in await inventory.findings()


async def test_a_removed_stock_has_movements_that_come_to_nothing(
    inventory: Inventory, ledger: Ledger
) -> None:
    await inventory.create("A", 5)
    await inventory.adjust("A", -5, "out")
    stock_id = (await ledger.rows("SELECT id FROM inventory.stock"))[0][0]
    await ledger.execute(
        "WITH gone AS (DELETE FROM inventory.stock RETURNING id, sku)"
        " INSERT INTO inventory.removed_stock SELECT id, sku, now() FROM gone"
    )
    assert await inventory.findings() == []
    balance = "INSERT INTO inventory.stock_movement_balance VALUES (:id, '2024-01-01', 3)"

    await ledger.execute(balance, id=stock_id)

    assert await inventory.findings() == ["A: quantity is 0, the sum of its movements is 3"]


async def test_balances_are_part_of_the_sum_of_every_stock_however_many_there_are(
    inventory: Inventory, ledger: Ledger
) -> None:
    await ledger.execute(
        "WITH made AS (INSERT INTO inventory.stock (sku, quantity) SELECT 'S' || n, 7"
        " FROM generate_series(1, 1200) n RETURNING id)"
        " INSERT INTO inventory.stock_movement_balance SELECT id, '2024-01-01', 7 FROM made"
    )
    await ledger.execute(
        "INSERT INTO inventory.removed_stock SELECT gen_random_uuid(), 'gone' || n, now()"
        " FROM generate_series(1, 1200) n"
    )
    assert await inventory.findings() == []

    await ledger.execute("UPDATE inventory.stock_movement_balance SET quantity = quantity - 1")

    assert len(await inventory.findings()) == 1200


async def test_a_reader_that_is_kept_from_the_ledger_is_told_to_come_back(
    inventory: Inventory, ledger: Ledger
) -> None:
    async with ledger.engine.begin() as connection:
        await connection.execute(text("LOCK TABLE inventory.stock_movement IN ACCESS EXCLUSIVE MODE"))

        refusal = await refused(inventory.stub.ListMovements(movement_pb2.ListMovementsRequest(), timeout=10))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "CONCURRENT_UPDATE")
    assert refusal.retry


async def test_a_month_does_not_leave_while_a_snapshot_that_counts_it_is_read(
    inventory: Inventory, ledger: Ledger
) -> None:
    await ledger.make(JANUARY)
    await ledger.fill(JANUARY)
    transactions = Transactions(ledger.engine, SqlUnitOfWork, before_snapshot=LEDGER_STAYS)
    taken, leave = asyncio.Event(), asyncio.Event()

    async def read(uow: SqlUnitOfWork) -> tuple[int, int]:
        stock = await uow.stocks.get("P0")
        assert stock is not None
        taken.set()
        await leave.wait()
        return stock.quantity, await uow.movements.total(stock.stock_id)

    reading = asyncio.create_task(transactions.read(read, one_snapshot=True))
    await taken.wait()
    try:
        await archiver_is_kept_waiting(ledger)
    finally:
        leave.set()

    assert await reading == (11, 11)


async def archiver_is_kept_waiting(ledger: Ledger) -> None:
    """Tries to detach January, for a tenth of a second."""
    async with ledger.engine.connect() as archiver:
        await archiver.execute(text("SET LOCAL lock_timeout = '100ms'"))
        with pytest.raises(DBAPIError) as refused:
            await archiver.exec_driver_sql(
                "ALTER TABLE inventory.stock_movement DETACH PARTITION inventory.stock_movement_2024_01"
            )
    assert lock_wait_ended(refused.value)
