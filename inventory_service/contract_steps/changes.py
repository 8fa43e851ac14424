"""What each step does, in one transaction each: killed in the middle, it has done nothing."""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.contract_steps.foreign_keys import bring_keys_back, forget_keys, remember_keys
from inventory_service.contract_steps.standing import TRIGGERS_FOR_OTHER_WRITERS, Standing
from inventory_service.contract_steps.turns import execute, in_turns
from inventory_service.contract_steps.verification import (
    differences_from_backups,
    not_accounted_for,
    other_writers,
)
from inventory_service.domain.legacy import BACKUPS, SPLIT_TABLES
from servicekit.operations.contract_steps import NotVerified


async def drop_split_tables(connection: AsyncConnection, standing: Standing) -> None:
    """Makes each split table its own backup, with its keys and defaults, once both are seen to be equal.

    Its foreign keys are remembered and go. Raises NotVerified.
    """
    await _keep_writers_out(connection, standing.split_tables)
    complaints = await differences_from_backups(connection, standing.split_tables)
    if complaints:
        complaints.append(
            "if whatever wrote that is gone, back them up anew by `migrate contract renew-backups`;"
            " the waiting time then counts from there"
        )
    complaints += await not_accounted_for(connection, standing)
    if complaints:
        raise NotVerified(complaints)
    drop_keys = await remember_keys(connection, standing.split_tables)
    # Dropping a key locks stock too: it comes last, when there is nothing left to wait for.
    both = [f"inventory.{table}{suffix}" for table in standing.split_tables for suffix in ("", "_backup")]
    await in_turns(
        connection,
        [
            *(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE" for table in both),
            *drop_keys,
            *(f"DROP TABLE inventory.{table}_backup" for table in standing.split_tables),
            *(f"ALTER TABLE inventory.{table} RENAME TO {table}_backup" for table in standing.split_tables),
        ],
    )


async def restore_split_tables(connection: AsyncConnection, standing: Standing) -> None:
    """Makes the backups the split tables again, backs them up, and has their foreign keys guard new rows.

    A key that cannot come back stays remembered.
    """
    for table in SPLIT_TABLES:
        if table not in standing.split_tables and f"{table}_backup" in standing.backups:
            await execute(connection, f"ALTER TABLE inventory.{table}_backup RENAME TO {table}")
            await execute(connection, f"CREATE TABLE inventory.{table}_backup AS TABLE inventory.{table}")
    await bring_keys_back(connection)


async def renew_backups(connection: AsyncConnection, standing: Standing) -> None:
    """Backs the split tables up as they are now, once all that they say is accounted for. Raises NotVerified."""
    await _keep_writers_out(connection, standing.split_tables)
    if complaints := await not_accounted_for(connection, standing):
        raise NotVerified(complaints)
    for table in standing.split_tables:
        await execute(connection, f"DROP TABLE IF EXISTS inventory.{table}_backup")
        await execute(connection, f"CREATE TABLE inventory.{table}_backup AS TABLE inventory.{table}")


async def drop_backups(connection: AsyncConnection, standing: Standing) -> None:
    """Drops the last copy of what the split tables were. Raises NotVerified."""
    present = [table for table in SPLIT_TABLES if f"{table}_backup" in standing.backups]
    if present == list(SPLIT_TABLES):
        complaints = await not_accounted_for(connection, standing, "_backup")
    else:
        complaints = [
            f"{', '.join(set(BACKUPS) - set(standing.backups))}: not there, nothing can be verified"
        ]
    if complaints:
        raise NotVerified(complaints)
    for table in present:
        await execute(connection, f"DROP TABLE inventory.{table}_backup")
    await forget_keys(connection)


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
        await in_turns(connection, [f"DROP INDEX inventory.{name}"])

    return drop


async def _switch_triggers(connection: AsyncConnection, switch: str, names: Sequence[str]) -> None:
    await in_turns(connection, [f"ALTER TABLE inventory.stock {switch} TRIGGER {name}" for name in names])


async def _keep_writers_out(connection: AsyncConnection, tables: Sequence[str]) -> None:
    for table in tables:
        await execute(connection, f"LOCK TABLE inventory.{table} IN SHARE MODE")
