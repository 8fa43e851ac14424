"""The archive waits for those who work with the ledger; they do not wait for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from holdfast.inventory.v1 import movement_pb2

from tests.inventory_service.client import Inventory
from tests.inventory_service.commands.conftest import ArchiveCommand
from tests.inventory_service.ledger import Ledger

# Above what a busy machine costs, below the 2 s that a session waits for a lock.
MOST_STALL_SECONDS = 1.8


@asynccontextmanager
async def repeating(call: Callable[[int], Awaitable[object]]) -> AsyncIterator[list[float]]:
    """Makes a call again and again; gives how long each took, in seconds."""
    took: list[float] = []
    ending = asyncio.Event()

    async def repeat() -> None:
        while not ending.is_set():
            began = time.monotonic()
            await call(len(took))
            took.append(time.monotonic() - began)
            await asyncio.sleep(0.01)

    running = asyncio.create_task(repeat())
    try:
        yield took
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
            await asyncio.sleep(2.5)
            assert not archiving.done()
        await archiving
        await archive("restore", "2024-01")
        assert await inventory.findings() == []

    assert len(writes) > 20
    assert max(writes) < MOST_STALL_SECONDS
    assert max(reads) < MOST_STALL_SECONDS
    assert await inventory.levels("W") == (len(writes), 0, len(writes))
    assert await inventory.findings() == []
