"""A stock database as it was before Phase 2, with rows in it, and what to look at afterwards."""

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.schema.migrations import Schema

SCHEMA = Schema("inventory")
REVISIONS = [revision.id for revision in SCHEMA.history()]
HEAD = REVISIONS[-1]

PRODUCT = "11111111-1111-1111-1111-111111111111"
STOCKS = {
    "a": "00000000-0000-0000-0000-00000000000a",
    "b": "00000000-0000-0000-0000-00000000000b",
    "c": "00000000-0000-0000-0000-00000000000c",
    "d": "00000000-0000-0000-0000-00000000000d",
}
ADD = text(
    "INSERT INTO inventory.stock (id, product_id, size_id, quantity, status, gross_purchase_price, roi_percentage)"
    " VALUES (:id, :product, :product, :quantity, :status, :price, :roi)"
)


async def execute(engine: AsyncEngine, statement: str, **values: Any) -> None:
    """Runs one statement and commits it."""
    async with engine.begin() as connection:
        await connection.execute(text(statement), values)


async def rows(engine: AsyncEngine, query: str) -> list[tuple[Any, ...]]:
    """What a query finds."""
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


async def add_stock(
    engine: AsyncEngine, name: str, quantity: int = 5, status: str = "in_stock", price: str | None = None
) -> None:
    """Adds a stock in the shape in which the old application inserts."""
    values = {"id": STOCKS[name], "product": PRODUCT, "quantity": quantity, "status": status}
    async with engine.begin() as connection:
        await connection.execute(ADD, values | {"price": price, "roi": "10.00"})


async def legacy_rows(engine: AsyncEngine) -> None:
    """Brings an empty database to 0001 and fills it: listed, held, with split rows, and plain."""
    await SCHEMA.upgrade(engine, "0001")
    await add_stock(engine, "a", 5, "listed_stockx", "100.00")
    await add_stock(engine, "b", 4, "reserved")
    await add_stock(engine, "c", 0, "sold", "20.00")
    await add_stock(engine, "d", 7)
    await execute(
        engine,
        "INSERT INTO inventory.stock_lifecycle (stock_id, listed_on_platforms, status_history) VALUES"
        ' (:id, \'[{"platform": "ebay", "listing_id": "E1", "status": "ended"}]\', NULL)',
        id=STOCKS["a"],
    )
    await execute(
        engine,
        "INSERT INTO inventory.stock_metrics (stock_id, available_quantity, reserved_quantity) VALUES (:id, 1, 3)",
        id=STOCKS["b"],
    )
    await execute(
        engine,
        "INSERT INTO inventory.stock_financial (stock_id, gross_purchase_price, vat_rate) VALUES (:id, 33.30, 19)",
        id=STOCKS["d"],
    )


async def contents(engine: AsyncEngine) -> list[tuple[Any, ...]]:
    """Every relation with its number of rows and what belongs to it, and the revision."""
    return [
        *await rows(engine, "SELECT version_num FROM holdfast_schema_version"),
        *await rows(
            engine,
            """
            SELECT c.relname, c.relkind, CASE WHEN c.relkind IN ('r', 'p', 'm') THEN query_to_xml(
                format('SELECT count(*) FROM %s', c.oid::regclass), false, true, '')::text END,
                (SELECT array_agg(attname::text || format_type(atttypid, atttypmod) || attnotnull ORDER BY attname)
                 FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
                (SELECT array_agg(conname::text || convalidated ORDER BY conname) FROM pg_constraint
                 WHERE conrelid = c.oid),
                (SELECT array_agg(tgname::text ORDER BY tgname) FROM pg_trigger
                 WHERE tgrelid = c.oid AND NOT tgisinternal),
                (SELECT indisvalid FROM pg_index WHERE indexrelid = c.oid)
            FROM pg_class c
            WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('inventory', 'analytics'))
            ORDER BY c.relname
            """,
        ),
    ]


async def base_rows(engine: AsyncEngine) -> list[tuple[Any, ...]]:
    """What every revision must keep of each stock."""
    return await rows(
        engine, "SELECT id, product_id, size_id, quantity, created_at FROM inventory.stock ORDER BY id"
    )


async def reserved(engine: AsyncEngine) -> list[tuple[Any, ...]]:
    """The units held, wherever the applied revision keeps them."""
    applied = await SCHEMA.applied(engine)
    table = "stock_metrics WHERE" if applied == "0001" else "stock WHERE"
    column = "stock_id" if applied == "0001" else "id"
    return await rows(
        engine,
        f"SELECT {column}, reserved_quantity FROM inventory.{table} reserved_quantity > 0",  # noqa: S608
    )
