"""Two packages of equal content, row by row and column by column."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.bench.create_forms import command_of
from delivery_service.persistence import tables
from delivery_service.persistence.order_lists import listed_packages

WRITTEN = (
    listed_packages,
    tables.package_items,
    tables.package_orders,
    tables.package_events,
    tables.outbox,
    tables.orders,
    tables.requests,
)
NUMBERS = ("id", "order_ids", "order_sn", "digest")
"""Beside ids and times, columns that say which order or which request it is."""


async def differences(engine: AsyncEngine, order: int, other: int) -> dict[str, list[str]]:
    """Columns, by table, in which the package of one order says something else than that of the other.

    Ids, numbers and times only have to be there in both. These two are the last ones, with a row each in every table
    or, in that of requests, none.
    """
    found = {}
    async with engine.connect() as connection:
        for table in WRITTEN:
            rows = (await connection.execute(select(*table.c).order_by(*table.primary_key))).all()
            assert len(rows) in (0, other), f"{table.name} has {len(rows)} rows"
            for one, two in zip(rows[order - 1 :], rows[order:], strict=False):
                cells = zip(table.c.keys(), one, two, strict=True)
                found[table.name] = [name for name, a, b in cells if not _same(name, a, b, (order, other))]
    return {table: columns for table, columns in found.items() if columns}


def _same(column: str, one: Any, two: Any, orders: tuple[int, int]) -> bool:
    if column == "content_digest":
        return (one, two) == tuple(command_of(order).content_digest() for order in orders)
    if column in NUMBERS or (column.endswith(("_id", "_time")) and column != "reservation_id"):
        return (one is None) == (two is None)
    if isinstance(one, str):
        one = one.replace(f"PG{orders[0]}", f"PG{orders[1]}")
    return bool(one == two)
