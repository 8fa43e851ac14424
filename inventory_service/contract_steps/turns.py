"""Statements that need locks others wait behind: tried in short turns, all of them or none."""

import asyncio
from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.persistence.conflicts import may_run_again

TRIES = 20


async def in_turns(connection: AsyncConnection, statements: Sequence[str]) -> None:
    """Runs all of them whenever their locks can be had together; raises what the last try failed with.

    Whoever waits for such a lock holds up all who come after it: a try that waits too long gives back what it got.
    """
    for attempt in range(TRIES):
        try:
            async with connection.begin_nested():
                await execute(connection, "SET LOCAL lock_timeout = '400ms'")
                for statement in statements:
                    await execute(connection, statement)
            return
        except DBAPIError as error:
            if not may_run_again(error) or attempt == TRIES - 1:
                raise
        await asyncio.sleep(min(0.2 * 2**attempt, 2))


async def execute(connection: AsyncConnection, statement: str) -> None:
    """Runs one statement."""
    await connection.execute(text(statement))
