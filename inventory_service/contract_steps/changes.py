"""What each step does, in one transaction each: killed in the middle, it has done nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.contract_steps.standing import TRIGGERS_FOR_OTHER_WRITERS, Standing
from inventory_service.contract_steps.verification import (
    differences_from_backups,
    not_accounted_for,
    other_writers,
)
from inventory_service.domain.legacy import BACKUPS, SPLIT_TABLES
from servicekit.conflicts import may_run_again

TRIES = 20


class NotVerified(Exception):
    """What would be removed is not accounted for elsewhere; every complaint is named."""

    def __init__(self, complaints: Sequence[str]) -> None:
        super().__init__("\n".join(complaints))


async def drop_split_tables(connection: AsyncConnection, standing: Standing) -> None:
    """Makes each split table its own backup, with its keys and defaults, once both are seen to be equal.

    Foreign keys go: a backup must not keep a stock from being removed. Raises NotVerified.
    """
    await _keep_writers_out(connection, standing.split_tables)
    complaints = await differences_from_backups(connection, standing.split_tables)
    if complaints:
        complaints.append(
            "if whatever wrote that is gone, back them up anew by `migrate contract renew-backups`;"
            " the waiting time then counts from there"
        )
    complaints += await not_accounted_for(connection, standing.since)
    if complaints:
        raise NotVerified(complaints)
    # Dropping a key locks stock too: it comes last, when there is nothing left to wait for.
    both = [f"inventory.{table}{suffix}" for table in standing.split_tables for suffix in ("", "_backup")]
    await _in_turns(
        connection,
        [
            *(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE" for table in both),
            *[drop for table in standing.split_tables for drop in await _foreign_keys(connection, table)],
            *(f"DROP TABLE inventory.{table}_backup" for table in standing.split_tables),
            *(f"ALTER TABLE inventory.{table} RENAME TO {table}_backup" for table in standing.split_tables),
        ],
    )


async def restore_split_tables(connection: AsyncConnection, standing: Standing) -> None:
    """Makes the backups the split tables again, and backs them up."""
    for table in SPLIT_TABLES:
        if table not in standing.split_tables and f"{table}_backup" in standing.backups:
            await _execute(connection, f"ALTER TABLE inventory.{table}_backup RENAME TO {table}")
            await _execute(connection, f"CREATE TABLE inventory.{table}_backup AS TABLE inventory.{table}")


async def renew_backups(connection: AsyncConnection, standing: Standing) -> None:
    """Backs the split tables up as they are now, once all that they say is accounted for. Raises NotVerified."""
    await _keep_writers_out(connection, standing.split_tables)
    if complaints := await not_accounted_for(connection, standing.since):
        raise NotVerified(complaints)
    for table in standing.split_tables:
        await _execute(connection, f"DROP TABLE IF EXISTS inventory.{table}_backup")
        await _execute(connection, f"CREATE TABLE inventory.{table}_backup AS TABLE inventory.{table}")


async def drop_backups(connection: AsyncConnection, standing: Standing) -> None:
    """Drops the last copy of what the split tables were. Raises NotVerified."""
    present = [table for table in SPLIT_TABLES if f"{table}_backup" in standing.backups]
    if present == list(SPLIT_TABLES):
        complaints = await not_accounted_for(connection, standing.since, "_backup")
    else:
        complaints = [
            f"{', '.join(set(BACKUPS) - set(standing.backups))}: not there, nothing can be verified"
        ]
    if complaints:
        raise NotVerified(complaints)
    for table in present:
        await _execute(connection, f"DROP TABLE inventory.{table}_backup")


async def disable_triggers(connection: AsyncConnection, standing: Standing) -> None:
    """Stops following writers other than the service, once there were none for two weeks. Raises NotVerified."""
    if complaints := await other_writers(connection):
        raise NotVerified(complaints)
    await _switch_triggers(connection, "DISABLE", standing.triggers)


async def enable_triggers(connection: AsyncConnection, standing: Standing) -> None:
    """Follows other writers again; what they wrote meanwhile is a finding of CheckConsistency."""
    off = [name for name in TRIGGERS_FOR_OTHER_WRITERS if name not in standing.triggers]
    await _switch_triggers(connection, "ENABLE", off)


def drop_index(name: str) -> Callable[[AsyncConnection, Standing], Awaitable[None]]:
    """The change that drops an index of stock."""

    async def drop(connection: AsyncConnection, standing: Standing) -> None:
        await _in_turns(connection, [f"DROP INDEX inventory.{name}"])

    return drop


async def _switch_triggers(connection: AsyncConnection, switch: str, names: Sequence[str]) -> None:
    await _in_turns(connection, [f"ALTER TABLE inventory.stock {switch} TRIGGER {name}" for name in names])


async def _in_turns(connection: AsyncConnection, statements: Sequence[str]) -> None:
    """Runs all of them whenever their locks can be had together; raises what the last try failed with.

    Whoever waits for such a lock holds up all who come after it: a try that waits too long gives back what it got.
    """
    for attempt in range(TRIES):
        try:
            async with connection.begin_nested():
                await _execute(connection, "SET LOCAL lock_timeout = '400ms'")
                for statement in statements:
                    await _execute(connection, statement)
            return
        except DBAPIError as error:
            if not may_run_again(error) or attempt == TRIES - 1:
                raise
        await asyncio.sleep(min(0.2 * 2**attempt, 2))


async def _keep_writers_out(connection: AsyncConnection, tables: Sequence[str]) -> None:
    for table in tables:
        await _execute(connection, f"LOCK TABLE inventory.{table} IN SHARE MODE")


async def _foreign_keys(connection: AsyncConnection, table: str) -> list[str]:
    """The statements that drop them."""
    query = text(
        "SELECT quote_ident(conname) FROM pg_constraint WHERE contype = 'f' AND conrelid = to_regclass(:table)"
    )
    names = (await connection.execute(query, {"table": f"inventory.{table}"})).scalars()
    return [f"ALTER TABLE inventory.{table} DROP CONSTRAINT {name}" for name in names]


async def _execute(connection: AsyncConnection, statement: str) -> None:
    await connection.execute(text(statement))
