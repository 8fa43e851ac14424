"""Revisions 0008 and 0009: the metrics view is replaced under its readers' eyes, and stocks are judged."""

import asyncio

import pytest
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.migrations.inventory.legacy import SCHEMA, STOCKS, execute, rows

COLUMNS = (
    "SELECT attname FROM pg_attribute WHERE attrelid = 'inventory.stock_metrics_view'::regclass AND attnum > 0"
    " ORDER BY attnum"
)
SEED_COLUMNS = [
    *("stock_id", "total_quantity", "available_quantity", "reserved_quantity", "total_cost"),
    *("expected_profit", "last_calculated_at", "created_at", "updated_at"),
]
INDEXES = "SELECT indexname FROM pg_indexes WHERE tablename = 'stock_metrics_view' ORDER BY 1"
SEED_INDEXES = ["idx_stock_metrics_view_available", "idx_stock_metrics_view_stock_id"]
FIGURES = (
    "SELECT stock_id, total_quantity, available_quantity, reserved_quantity, total_cost, expected_profit"
    " FROM inventory.stock_metrics_view ORDER BY stock_id"
)


async def names(engine: AsyncEngine, query: str) -> list[str]:
    """The only column of what a query finds."""
    return [str(row[0]) for row in await rows(engine, query)]


async def test_the_seeds_columns_come_first_and_unchanged_and_go_back(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy, "0007")
    await execute(legacy, "SELECT inventory.refresh_stock_metrics()")
    assert await names(legacy, COLUMNS) == SEED_COLUMNS
    figures = await rows(legacy, FIGURES)

    await SCHEMA.upgrade(legacy, "0008")

    assert await names(legacy, COLUMNS) == [*SEED_COLUMNS, "sku", "status"]
    assert await names(legacy, INDEXES) == [*SEED_INDEXES, "ix_stock_metrics_view_sku"]
    assert await rows(legacy, FIGURES) == figures
    dated = "SELECT refresh_time, scheduled FROM inventory.stock_metrics_refresh"
    assert await rows(legacy, dated) == await rows(
        legacy, "SELECT DISTINCT last_calculated_at, false FROM inventory.stock_metrics_view"
    )

    await SCHEMA.downgrade(legacy, "0007")
    assert await names(legacy, COLUMNS) == SEED_COLUMNS
    assert await names(legacy, INDEXES) == SEED_INDEXES
    assert await rows(legacy, FIGURES) == figures
    await execute(legacy, "SELECT inventory.refresh_stock_metrics()")


async def test_privileges_upon_the_view_are_handed_on(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy, "0007")
    await execute(legacy, "GRANT SELECT ON inventory.stock_metrics_view TO PUBLIC")
    await execute(
        legacy, "GRANT SELECT ON inventory.stock_metrics_view TO pg_read_all_stats WITH GRANT OPTION"
    )
    privileges = (
        "SELECT grantee::regrole::text, privilege_type, is_grantable FROM pg_class, aclexplode(relacl)"
        " WHERE oid = 'inventory.stock_metrics_view'::regclass AND grantee <> relowner ORDER BY 1"
    )
    before = await rows(legacy, privileges)
    assert len(before) == 2

    await SCHEMA.upgrade(legacy, "0008")

    assert await rows(legacy, privileges) == before


async def test_a_view_upon_the_view_stops_it_by_name_and_nothing_is_changed(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy, "0007")
    await execute(legacy, "CREATE VIEW inventory.theirs AS SELECT stock_id FROM inventory.stock_metrics_view")

    with pytest.raises(InvalidRequestError, match=r"dropped first.*: inventory\.theirs"):
        await SCHEMA.upgrade(legacy, "0008")

    assert await names(legacy, COLUMNS) == SEED_COLUMNS
    assert await SCHEMA.applied(legacy) == "0007"
    await execute(legacy, "DROP VIEW inventory.theirs")
    await SCHEMA.upgrade(legacy, "0008")


async def test_readers_find_the_view_all_the_time(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy, "0007")
    counts: list[int] = []
    stop = asyncio.Event()

    async def read() -> None:
        while not stop.is_set():
            counts.append(len(await rows(legacy, FIGURES)))

    readers = [asyncio.create_task(read()) for _ in range(2)]
    for _ in range(3):
        await SCHEMA.upgrade(legacy, "0008")
        await SCHEMA.downgrade(legacy, "0007")
    stop.set()
    await asyncio.gather(*readers)

    assert set(counts) == {4}


async def test_stocks_are_judged_from_the_revision_on_and_after_a_way_back_no_more(
    legacy: AsyncEngine,
) -> None:
    await SCHEMA.upgrade(legacy, "0009")
    threshold = "INSERT INTO inventory.stock_threshold (stock_id, threshold) VALUES (:id, 7)"
    await execute(legacy, threshold, id=STOCKS["d"])
    await execute(legacy, "UPDATE inventory.stock SET quantity = 6 WHERE id = :id", id=STOCKS["d"])
    alerts = "SELECT stock_id::text, available_quantity, threshold, announced FROM inventory.stock_alert"
    assert await rows(legacy, alerts) == [(STOCKS["d"], 6, 7, False)]

    await SCHEMA.downgrade(legacy, "0008")
    await execute(legacy, "UPDATE inventory.stock SET quantity = 7 WHERE id = :id", id=STOCKS["d"])
    await SCHEMA.upgrade(legacy, "0009")

    assert await rows(legacy, alerts) == []
