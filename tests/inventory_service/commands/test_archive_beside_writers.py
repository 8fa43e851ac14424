"""The archive waits for those who work with the ledger; they do not wait for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from holdfast.inventory.v1 import movement_pb2

from inventory_service.application.archive_month import archive_month
from inventory_service.application.prepare_ledger import prepare_ledger
from inventory_service.gateways.ledger_folder import LedgerFolder
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from tests.inventory_service.client import Inventory
from tests.inventory_service.commands.conftest import ArchiveCommand
from tests.inventory_service.ledger import JANUARY, Ledger

# A call that waits for a lock is refused after twice 2 s: who waited behind the archive for so long would be.
LOOK_SECONDS = 4.5


@asynccontextmanager
async def repeating(call: Callable[[int], Awaitable[object]]) -> AsyncIterator[list[object]]:
    """Makes a call again and again; gives the answers. A refusal is raised at the end."""
    answers: list[object] = []
    ending = asyncio.Event()

    async def repeat() -> None:
        while not ending.is_set():
            answers.append(await call(len(answers)))
            await asyncio.sleep(0.01)

    running = asyncio.create_task(repeat())
    try:
        yield answers
    finally:
        ending.set()
        await running


async def until_waited_for(ledger: Ledger, mode: str = "AccessExclusiveLock") -> None:
    """Waits until somebody waits for a lock of this mode."""
    for _ in range(500):
        if await ledger.rows(f"SELECT pid FROM pg_locks WHERE mode = '{mode}' AND NOT granted"):  # noqa: S608
            return
        await asyncio.sleep(0.02)
    raise AssertionError("nobody waits for such a lock")


async def test_months_leave_and_come_back_beside_writers_readers_and_a_long_look(
    inventory: Inventory, ledger: Ledger, archive: ArchiveCommand
) -> None:
    await inventory.create("W", 0)

    async def write(number: int) -> None:
        await inventory.adjust("W", 1, f"write {number}")

    async def read(_number: int) -> None:
        await inventory.stub.ListMovements(movement_pb2.ListMovementsRequest())

    async with repeating(write) as writes, repeating(read) as reads:
        async with ledger.engine.connect() as reader:
            await reader.exec_driver_sql("SELECT count(*) FROM inventory.stock_movement")
            archiving = asyncio.create_task(archive())
            await until_waited_for(ledger)
            await asyncio.sleep(LOOK_SECONDS)
            assert not archiving.done()
        await archiving
        await archive("restore", "2024-01")
        assert await inventory.findings() == []

    assert len(writes) > 20
    assert len(reads) > 20
    assert await inventory.levels("W") == (len(writes), 0, len(writes))
    assert await inventory.findings() == []


async def test_a_month_that_leaves_while_partitions_are_prepared_gets_no_second_one(
    inventory: Inventory, ledger: Ledger, archive: ArchiveCommand
) -> None:
    files = LedgerFolder(archive.folder)
    file = await ledger.transactions.read(
        lambda uow: files.write(JANUARY, uow.ledger_archive.entries(JANUARY))
    )

    async with ledger.engine.begin() as connection:
        # Whoever looks for strays waits here, and for the archive's commit.
        await connection.exec_driver_sql("LOCK TABLE inventory.stock_movement_default")
        preparing = asyncio.create_task(ledger.transactions.run(partial(prepare_ledger, 0)))
        await until_waited_for(ledger, "AccessShareLock")
        await archive_month(file, files, SqlUnitOfWork(connection, JANUARY.plus(6).start))
        await connection.exec_driver_sql(
            "INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)"
            " SELECT '2024-01-20 00:00Z', id, delta, 'CORRECTED', 'late'"
            " FROM inventory.stock CROSS JOIN unnest(ARRAY[1, -1]) delta WHERE sku = 'P0'"
        )

    assert await preparing is None
    assert "stock_movement_2024_01" not in await ledger.tables()
    assert await inventory.findings() == ["2024-01: 2 movements came after their month was archived"]
    await archive("restore", "2024-01")
