"""The archive waits for those who work with the ledger; they do not wait for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from holdfast.inventory.v1 import movement_pb2

from tests.inventory_service.client import Inventory
from tests.inventory_service.commands.conftest import ArchiveCommand
from tests.inventory_service.ledger import Ledger

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


async def until_waited_for(ledger: Ledger) -> None:
    """Waits until somebody waits for the ledger to be his alone."""
    for _ in range(500):
        if await ledger.rows("SELECT pid FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("nobody waits for the ledger")


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
