"""The foreign keys of the split tables: they go with the drop, are remembered, and come back with the tables.

A backup must not keep a stock from being removed; a table that is there again guards its rows again.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.contract_steps.turns import execute, in_turns
from inventory_service.domain.legacy import SPLIT_TABLES

_KEYS = text(
    "SELECT quote_ident(conname) AS name, pg_get_constraintdef(oid) AS definition, convalidated AS validated"
    " FROM pg_constraint WHERE contype = 'f' AND conrelid = to_regclass(:table) ORDER BY conname"
)
_CREATE = text(
    "CREATE TABLE IF NOT EXISTS inventory.dropped_foreign_key"
    " (split_table text NOT NULL, name text NOT NULL, definition text NOT NULL)"
)
_REMEMBER = text("INSERT INTO inventory.dropped_foreign_key VALUES (:table, :name, :definition)")
_ARE_REMEMBERED = text("SELECT to_regclass('inventory.dropped_foreign_key') IS NOT NULL")
_READ = text(
    "SELECT split_table, name, definition FROM inventory.dropped_foreign_key ORDER BY split_table, name"
)
_RETURNED = text("DELETE FROM inventory.dropped_foreign_key WHERE split_table = :table AND name = :name")
_FORGET = text("DROP TABLE IF EXISTS inventory.dropped_foreign_key")


async def remember_keys(connection: AsyncConnection, tables: Sequence[str]) -> list[str]:
    """Notes the keys of these tables; answers the statements that drop them."""
    drops = []
    await connection.execute(_CREATE)
    for table in tables:
        for key in (await connection.execute(_KEYS, {"table": f"inventory.{table}"})).all():
            values = {"table": table, "name": key.name, "definition": key.definition}
            await connection.execute(_REMEMBER, values)
            drops.append(f"ALTER TABLE inventory.{table} DROP CONSTRAINT {key.name}")
    return drops


async def bring_keys_back(connection: AsyncConnection) -> None:
    """Adds them again, for new rows alone, which takes an instant; one that cannot be added stays remembered."""
    for key in await _remembered(connection):
        definition = key.definition.removesuffix(" NOT VALID")
        add = f"ALTER TABLE inventory.{key.split_table} ADD CONSTRAINT {key.name} {definition} NOT VALID"
        with suppress(DBAPIError):
            await in_turns(connection, [add])
            await connection.execute(_RETURNED, {"table": key.split_table, "name": key.name})
    if not await _remembered(connection):
        await forget_keys(connection)


async def forget_keys(connection: AsyncConnection) -> None:
    """For when there is nothing left that they could belong to."""
    await connection.execute(_FORGET)


async def missing_keys(connection: AsyncConnection) -> list[str]:
    """Has the keys that are there look at all rows, beside writers; a sentence for each that rows break, or is gone."""
    complaints = [
        f"did not come back: {key.split_table}, {key.name}: {key.definition}"
        for key in await _remembered(connection)
    ]
    for table in SPLIT_TABLES:
        for key in (await connection.execute(_KEYS, {"table": f"inventory.{table}"})).all():
            if key.validated:
                continue
            try:
                async with connection.begin_nested():
                    await execute(connection, f"ALTER TABLE inventory.{table} VALIDATE CONSTRAINT {key.name}")
            except DBAPIError as error:
                complaints.append(f"guards new rows alone: {table}, {key.name}: {error.orig}")
    return complaints


async def _remembered(connection: AsyncConnection) -> Sequence[Row[Any]]:
    if not (await connection.execute(_ARE_REMEMBERED)).scalar():
        return []
    return (await connection.execute(_READ)).all()
