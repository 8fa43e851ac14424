"""Rows as the old application writes them, and a schema as the engine describes it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.persistence.engines import create_engine
from servicekit.schema.migrations import VERSION_TABLE, Schema
from servicekit.schema.schema_history import HISTORY_TABLE

# The INSERT shapes of the old application: it names its own columns only.
PACKAGE = text(
    "INSERT INTO tigu_prepare_goods"
    " (id, prepare_sn, order_ids, delivery_type, shipping_type, prepare_status, type, shop_id,"
    " create_time, update_time)"
    " VALUES (:id, :sn, :order_ids, 1, 0, :status, :leg, 7, '2025-11-09 16:19:00', '2025-11-09 16:19:00')"
)
ITEM = text(
    "INSERT INTO tigu_prepare_goods_item (prepare_id, order_item_id, product_id, sku_id, quantity, create_time)"
    " VALUES (:package, 70, 80, 90, 2, '2025-11-09 16:19:00')"
)
ORDER = text(
    "INSERT INTO tigu_order (id, order_sn, user_id, shop_id, order_status, create_time, update_time)"
    " VALUES (:id, :sn, 1, 7, 1, '2025-11-09 16:19:00', '2025-11-09 16:19:00')"
)
ORDER_ITEM = text(
    "INSERT INTO tigu_order_item (id, order_id, product_id, sku_id, product_name, sku_code, quantity, price)"
    " VALUES (:id, :order, 80, 90, '{\"en\": \"Lamp\"}', 'L-1', 2, 9.90)"
)


@asynccontextmanager
async def migrating(url: str) -> AsyncIterator[tuple[Schema, AsyncEngine]]:
    """The delivery schema's history and an engine to move it with."""
    engine = create_engine(url, pool_size=4, for_migrations=True)
    try:
        yield Schema("delivery"), engine
    finally:
        await engine.dispose()


async def execute(engine: AsyncEngine, statement: Any, **values: Any) -> None:
    """Runs one statement and commits."""
    async with engine.begin() as connection:
        await connection.execute(text(statement) if isinstance(statement, str) else statement, values)


async def rows(engine: AsyncEngine, statement: str) -> list[tuple[Any, ...]]:
    """What a query answers."""
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(statement))]


async def write_legacy(engine: AsyncEngine, package_id: int, order_ids: str = "1", **fields: Any) -> None:
    """A package with an item, as the old application writes it; PENDING is NULL."""
    given: dict[str, Any] = {"sn": f"PG{package_id}", "status": None, "leg": 0} | fields
    await execute(engine, PACKAGE, id=package_id, order_ids=order_ids, **given)
    await execute(engine, ITEM, package=package_id)


async def write_order(engine: AsyncEngine, order_id: int) -> None:
    """An order with an item, as the old application writes it."""
    await execute(engine, ORDER, id=order_id, sn=f"O{order_id}")
    await execute(engine, ORDER_ITEM, id=order_id, order=order_id)


async def description(engine: AsyncEngine) -> dict[str, Any]:
    """Every table with its columns, keys, indexes and checks."""

    def describe(connection: Connection) -> dict[str, Any]:
        inspector = inspect(connection)
        return {
            table: {
                "columns": [
                    (column["name"], str(column["type"]), column["nullable"])
                    for column in inspector.get_columns(table)
                ],
                "key": inspector.get_pk_constraint(table)["constrained_columns"],
                "indexes": sorted(
                    (index["name"], tuple(index["column_names"]), index["unique"])
                    for index in inspector.get_indexes(table)
                ),
                "checks": sorted(check["name"] or "" for check in inspector.get_check_constraints(table)),
            }
            for table in inspector.get_table_names()
            if table not in (VERSION_TABLE, HISTORY_TABLE)
        }

    async with engine.connect() as connection:
        return await connection.run_sync(describe)
