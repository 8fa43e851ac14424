"""Locks that stand for no row: what one transaction, or one process, does at a time; migrations have their own.

A lock's value is the name under which the engine knows it; the ids of reservations that no row bears yet are locked
by themselves.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from servicekit.persistence.named_locks import give_lock, take_lock


class Lock(StrEnum):
    """What one does at a time."""

    SWEEP = "holdfast.inventory.sweep"
    PARTITIONS = "holdfast.inventory.partitions"
    FACTS = "holdfast.inventory.facts"
    METRICS = "holdfast.inventory.metrics"
    """The function that pg_cron calls takes it too."""
    LOW_STOCK = "holdfast.inventory.low_stock"
    """The triggers that judge stocks share it while the threshold for all stays as it is."""
    ARCHIVE = "holdfast.inventory.archive"


_TRY = text("SELECT pg_try_advisory_xact_lock(hashtext(:name))")
_WAIT = text("SELECT pg_advisory_xact_lock(hashtext(:name))")


async def try_lock(connection: AsyncConnection, lock: Lock) -> bool:
    """Whether this transaction has the lock, until it ends; nobody waits."""
    return bool((await connection.execute(_TRY, {"name": lock})).scalar())


async def wait_for_lock(connection: AsyncConnection, lock: Lock) -> None:
    """Takes the lock until the transaction ends, once all who have or share it have ended."""
    await connection.execute(_WAIT, {"name": lock})


@asynccontextmanager
async def lock_of_process(engine: AsyncEngine, lock: Lock) -> AsyncIterator[bool]:
    """Whether the caller has the lock, for as long as it stays in here; it takes a connection of its own.

    The engine gives the lock back when its holder dies.
    """
    async with engine.connect() as guard:
        await guard.execution_options(isolation_level="AUTOCOMMIT")
        has_it = await take_lock(guard, lock)
        try:
            yield has_it
        finally:
            if has_it:
                await give_lock(guard, lock)
