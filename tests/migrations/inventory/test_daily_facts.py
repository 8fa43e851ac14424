"""Revision 0010: every movement is noted once, whether it was before, at or after the revision."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.migrations.inventory.legacy import SCHEMA, STOCKS, execute, rows
from tests.migrations.inventory.soundness import assert_sound

ADD = (
    "INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)"
    " VALUES (CAST(CAST(:time AS text) AS timestamptz), :stock, 1, 'FOUND', 'test')"
)
NOTES = (
    "SELECT create_time::date::text, status, platform FROM inventory.uncounted_movement"
    " WHERE reason = 'FOUND' ORDER BY create_time"
)


async def add_many(engine: AsyncEngine, count: int) -> None:
    """So many movements of one stock, and its quantity after them."""
    await execute(
        engine,
        "INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)"
        " SELECT now(), :stock, 1, 'FOUND', 'test' FROM generate_series(1, CAST(:count AS integer))",
        stock=STOCKS["d"],
        count=count,
    )
    await execute(
        engine,
        "UPDATE inventory.stock SET quantity = quantity + :count WHERE id = :stock",
        stock=STOCKS["d"],
        count=count,
    )


async def test_movements_of_before_are_noted_as_the_histories_tell_of_their_time(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy, "0009")
    await execute(
        legacy,
        "UPDATE inventory.stock SET status = 'error', status_history ="
        ' \'[{"from_status": "presale", "to_status": "in_stock", "changed_at": "2024-02-01T00:00:00+00:00"},'
        ' {"to_status": "preorder", "changed_at": "some day"}, "text",'
        ' {"to_status": "listed_stockx", "changed_at": "2024-02-15"},'
        ' {"from_status": "in_stock", "to_status": "error", "changed_at": "2024-03-01T00:00:00"}]\','
        " listed_on_platforms ="
        ' \'[{"platform": "goat", "listed_at": "2024-01-20T00:00:00Z", "status": "ended",'
        ' "ended_at": "2024-02-10T00:00:00Z"}, {"platform": "mars", "status": "active"}, 7,'
        ' {"platform": "ebay", "listed_at": "2024-01-25T00:00:00Z", "status": "active"},'
        ' {"platform": "local", "status": "ended"}]\' WHERE id = :stock',
        stock=STOCKS["d"],
    )
    for day in ("2024-01-10", "2024-01-22", "2024-02-05", "2024-02-20", "2024-03-05"):
        await execute(legacy, ADD, time=day, stock=STOCKS["d"])

    await SCHEMA.upgrade(legacy, "0010")

    assert await rows(legacy, NOTES) == [
        ("2024-01-10", "presale", ""),
        ("2024-01-22", "presale", "goat"),
        ("2024-02-05", "in_stock", "goat"),
        ("2024-02-20", "in_stock", "ebay"),
        ("2024-03-05", "error", "ebay"),
    ]


async def test_movements_of_stocks_that_are_gone_keep_their_name(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy, "0009")
    await execute(
        legacy,
        "INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)"
        " VALUES (now(), :stock, -7, 'LOST', 'test')",
        stock=STOCKS["d"],
    )
    await execute(
        legacy,
        "WITH gone AS (DELETE FROM inventory.stock WHERE quantity = 7 RETURNING id, sku)"
        " INSERT INTO inventory.removed_stock SELECT id, 'GONE', now() FROM gone",
    )

    await SCHEMA.upgrade(legacy)

    query = "SELECT sku, status, delta FROM inventory.uncounted_movement WHERE status = '' ORDER BY delta"
    assert await rows(legacy, query) == [("GONE", "", -7), ("GONE", "", 7)]
    await assert_sound(legacy)


@pytest.mark.parametrize("cut_at", [1, 2, 3])
async def test_batches_that_are_cut_short_go_on_where_they_were(legacy: AsyncEngine, cut_at: int) -> None:
    await SCHEMA.upgrade(legacy, "0009")
    await add_many(legacy, 10_010)
    seen: list[str] = []

    def before(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "WITH batch AS" in statement:
            seen.append(statement)
            if len(seen) == cut_at:
                raise OperationalError(statement, {}, ConnectionResetError("killed"))

    event.listen(legacy.sync_engine, "before_cursor_execute", before)
    with pytest.raises(OperationalError):
        await SCHEMA.upgrade(legacy, "0010")
    left = await rows(legacy, "SELECT count(*) FROM inventory.uncounted_movement")
    await add_many(legacy, 1)

    await SCHEMA.upgrade(legacy)

    assert left == [(5000 * (cut_at - 1),)]
    assert len(seen) == 4
    assert await rows(legacy, "SELECT count(*) FROM inventory.uncounted_movement") == [(10_014,)]
    await assert_sound(legacy)


async def test_a_movement_that_is_being_written_meanwhile_is_noted(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy, "0009")
    async with legacy.connect() as writer:
        await writer.execute(text(ADD), {"time": "now", "stock": STOCKS["d"]})
        update = text("UPDATE inventory.stock SET quantity = quantity + 1 WHERE id = :stock")
        await writer.execute(update, {"stock": STOCKS["d"]})
        upgrading = asyncio.create_task(SCHEMA.upgrade(legacy, "0010"))
        await asyncio.sleep(0.3)
        assert not upgrading.done()
        await writer.commit()

    await upgrading

    assert len(await rows(legacy, NOTES)) == 1
    await SCHEMA.upgrade(legacy)
    await assert_sound(legacy)


async def test_what_others_keep_in_a_schema_of_that_name_stays(legacy: AsyncEngine) -> None:
    await execute(legacy, "CREATE SCHEMA analytics")
    await execute(legacy, "CREATE TABLE analytics.of_others AS SELECT 1 AS number")
    await SCHEMA.upgrade(legacy)

    await SCHEMA.downgrade(legacy, "0009")

    tables = "SELECT relname FROM pg_class WHERE relnamespace = 'analytics'::regnamespace AND relkind = 'r'"
    assert await rows(legacy, tables) == [("of_others",)]
