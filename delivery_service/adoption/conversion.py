"""Turns what the legacy rows mean into what they say: numbers of another dialect into ours, local times into UTC.

Doing it twice would spoil it. So it goes by batches in the order of the ids, and the journal remembers in the same
transaction how far it came.
"""

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption.catalogue import Column, Tables
from delivery_service.adoption.dialect import shipping_type, status
from delivery_service.adoption.expectations import TABLES
from delivery_service.adoption.run import Dialect
from delivery_service.adoption.steps import Step
from delivery_service.adoption.zones import is_utc, to_utc

BATCH = 2000
PACKAGES = "tigu_prepare_goods"


def converts(dialect: Dialect, zone: ZoneInfo) -> bool:
    """Whether any value is changed, which a program that goes on writing the old ones would spoil."""
    return dialect is not Dialect.PHASE_6 or not is_utc(zone)


def zoneless_columns(tables: Tables) -> Mapping[str, Sequence[str]]:
    """Per table the legacy columns whose times do not say their zone."""
    found = {
        table: [wanted.name for wanted in columns if tables[table][wanted.name].is_zoneless]
        for table, columns in TABLES.items()
    }
    return {table: columns for table, columns in found.items() if columns}


def converted_columns(tables: Tables, dialect: Dialect, zone: ZoneInfo) -> Mapping[str, Sequence[str]]:
    """Per table the columns whose values are others at the end; lists of orders are written anew in any case."""
    columns = {table: list(values) for table, values in _values(tables, dialect, zone).items()}
    columns[PACKAGES] = [*columns.get(PACKAGES, ()), "order_ids"]
    return columns


def steps(tables: Tables, dialect: Dialect, zone: ZoneInfo, size: int = BATCH) -> Sequence[Step]:
    """A step for each table with something to convert, so many rows a batch."""
    return [
        _step(table, tables[table], values, size)
        for table, values in _values(tables, dialect, zone).items()
        if values
    ]


def untouched(columns: Mapping[str, Column], but: Mapping[str, str]) -> Mapping[str, str]:
    """SQL by column, for an UPDATE: columns that the engine would touch by itself stay as they are."""
    return {name: name for name, column in columns.items() if "on update" in column.extra and name not in but}


def _values(tables: Tables, dialect: Dialect, zone: ZoneInfo) -> dict[str, dict[str, str]]:
    values: dict[str, dict[str, str]] = {}
    if not is_utc(zone):
        for table, columns in zoneless_columns(tables).items():
            values[table] = {column: to_utc(column, zone) for column in columns}
    if dialect is not Dialect.PHASE_6:
        numbers = {
            "prepare_status": status("prepare_status", dialect),
            "shipping_type": shipping_type("shipping_type", dialect),
        }
        values[PACKAGES] = values.get(PACKAGES, {}) | numbers
    return values


def _step(table: str, columns: Mapping[str, Column], values: Mapping[str, str], size: int) -> Step:
    page = (
        "SELECT MAX(id) AS last, COUNT(*) AS number"
        f" FROM (SELECT id FROM {table} WHERE id > :after ORDER BY id LIMIT {size}) page"
    )
    every = {**values, **untouched(columns, values)}
    sets = ", ".join(f"{column} = {value}" for column, value in every.items())
    change = f"UPDATE {table} SET {sets} WHERE id > :after AND id <= :last"

    async def batch(connection: AsyncConnection, after: int) -> tuple[int | None, int]:
        found = (await connection.execute(text(page), {"after": after})).one()
        if found.last is not None:
            await connection.execute(text(change), {"after": after, "last": found.last})
        return found.last, found.number

    return Step(f"convert {table}", f"converting {table}", table, batch)
