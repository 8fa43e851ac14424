"""Revision 0002: the seed's objects under the seed's names, nothing lost, contradictions named."""

import pytest
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.migrations.inventory.legacy import SCHEMA, STOCKS, add_stock, execute, rows

INDEXES = {
    "idx_stock_reserved": (
        "CREATE INDEX idx_stock_reserved ON inventory.stock USING btree (id, reserved_quantity)"
        " WHERE (reserved_quantity > 0)"
    ),
    "idx_stock_listed_platforms": (
        "CREATE INDEX idx_stock_listed_platforms ON inventory.stock USING gin (listed_on_platforms)"
        " WHERE (listed_on_platforms IS NOT NULL)"
    ),
    "idx_stock_status_history": (
        "CREATE INDEX idx_stock_status_history ON inventory.stock USING gin (status_history)"
        " WHERE (status_history IS NOT NULL)"
    ),
    "idx_stock_metrics_view_stock_id": (
        "CREATE UNIQUE INDEX idx_stock_metrics_view_stock_id ON inventory.stock_metrics_view"
        " USING btree (stock_id)"
    ),
    "idx_stock_metrics_view_available": (
        "CREATE INDEX idx_stock_metrics_view_available ON inventory.stock_metrics_view"
        " USING btree (available_quantity) WHERE (available_quantity > 0)"
    ),
}


async def test_the_indexes_bear_the_seeds_names_and_columns(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy, "0002")

    found = dict(
        await rows(legacy, "SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'idx_stock_%'")
    )

    assert found == INDEXES


async def test_rows_of_the_split_tables_are_moved_and_backed_up(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy, "0002")

    stocks = {
        str(row[0])[-1]: row[1:]
        for row in await rows(
            legacy,
            "SELECT id, reserved_quantity, gross_purchase_price::text, vat_rate::text,"
            " listed_on_platforms->0->>'listing_id' FROM inventory.stock",
        )
    }
    assert stocks == {
        "a": (0, "100.00", None, "E1"),
        "b": (3, None, None, None),
        "c": (0, "20.00", None, None),
        "d": (0, "33.30", "19.00", None),
    }
    for table in ("stock_financial", "stock_lifecycle", "stock_metrics"):
        kept = await rows(legacy, f"SELECT * FROM inventory.{table}")  # noqa: S608
        assert kept == await rows(legacy, f"SELECT * FROM inventory.{table}_backup")  # noqa: S608
        assert len(kept) == 1


async def test_the_view_shows_the_seeds_columns_and_is_refreshed_beside_readers(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy, "0002")
    query = (
        "SELECT stock_id::text, total_quantity, available_quantity, reserved_quantity, total_cost::text,"
        " round(expected_profit, 2)::text FROM inventory.stock_metrics_view"
        " WHERE last_calculated_at IS NOT NULL AND created_at IS NOT NULL AND updated_at IS NOT NULL"
        " ORDER BY stock_id LIMIT 2"
    )
    assert await rows(legacy, query) == [
        (STOCKS["a"], 5, 5, 0, "100.00", "10.00"),
        (STOCKS["b"], 4, 1, 3, None, None),
    ]
    await execute(legacy, "UPDATE inventory.stock SET quantity = 50 WHERE id = :id", id=STOCKS["a"])

    await execute(legacy, "SELECT inventory.refresh_stock_metrics()")

    assert (await rows(legacy, query))[0][1] == 50


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (
            "INSERT INTO inventory.stock_metrics (stock_id) VALUES ('99999999-9999-9999-9999-999999999999')",
            "stock_metrics has rows of stocks that do not exist: 99999999",
        ),
        (
            "INSERT INTO inventory.stock_metrics (stock_id) SELECT stock_id FROM inventory.stock_metrics",
            f"stock_metrics has several rows of one stock: {STOCKS['b']}",
        ),
        (
            "UPDATE inventory.stock SET gross_purchase_price = 33.31"
            " WHERE id = (SELECT stock_id FROM inventory.stock_financial)",
            f"disagree on money: {STOCKS['d']}",
        ),
    ],
)
async def test_a_contradiction_stops_it_by_name_before_any_change(
    legacy: AsyncEngine, damage: str, complaint: str
) -> None:
    await execute(legacy, damage)

    with pytest.raises(InvalidRequestError, match=complaint):
        await SCHEMA.upgrade(legacy, "0002")

    assert await SCHEMA.applied(legacy) == "0001"
    columns = "SELECT column_name FROM information_schema.columns WHERE column_name = 'reserved_quantity'"
    assert len(await rows(legacy, columns)) == 1
    assert await rows(legacy, "SELECT to_regclass('inventory.stock_metrics_backup')") == [(None,)]


async def test_units_reserved_in_two_ways_stop_it(legacy: AsyncEngine) -> None:
    await execute(legacy, "ALTER TABLE inventory.stock ADD COLUMN reserved_quantity integer DEFAULT 0")
    await execute(legacy, "UPDATE inventory.stock SET reserved_quantity = 2 WHERE id = :id", id=STOCKS["b"])

    with pytest.raises(InvalidRequestError, match=f"disagree on reserved units: {STOCKS['b']}"):
        await SCHEMA.upgrade(legacy, "0002")


async def test_what_stocks_say_once_the_view_is_there_is_not_undone_by_another_run(
    legacy: AsyncEngine,
) -> None:
    await SCHEMA.upgrade(legacy, "0002")
    await execute(legacy, "UPDATE inventory.stock SET reserved_quantity = 0, listed_on_platforms = NULL")
    await execute(legacy, "UPDATE inventory.stock SET vat_rate = NULL, gross_purchase_price = 1")
    await execute(legacy, "DROP FUNCTION inventory.refresh_stock_metrics()")
    await execute(legacy, "UPDATE holdfast_schema_version SET version_num = '0001'")

    await SCHEMA.upgrade(legacy, "0002")

    found = "SELECT DISTINCT reserved_quantity, listed_on_platforms, vat_rate, gross_purchase_price FROM"
    assert await rows(legacy, f"{found} inventory.stock") == [(0, None, None, 1)]
    await execute(legacy, "SELECT inventory.refresh_stock_metrics()")


async def test_the_way_back_gives_the_split_tables_what_stocks_say_now(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy, "0002")
    await execute(
        legacy, "UPDATE inventory.stock SET reserved_quantity = 0, vat_rate = NULL, gross_purchase_price = 1"
    )

    await SCHEMA.downgrade(legacy, "0001")
    await SCHEMA.upgrade(legacy, "0002")

    found = "SELECT DISTINCT reserved_quantity, vat_rate, gross_purchase_price FROM inventory.stock"
    assert await rows(legacy, found) == [(0, None, 1)]


async def test_an_invalid_index_left_by_a_kill_is_built_again(legacy: AsyncEngine) -> None:
    await execute(legacy, "ALTER TABLE inventory.stock ADD COLUMN reserved_quantity integer DEFAULT 0")
    await execute(
        legacy,
        "CREATE INDEX idx_stock_reserved ON inventory.stock (id, reserved_quantity) WHERE reserved_quantity > 0",
    )
    await execute(
        legacy,
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'inventory.idx_stock_reserved'::regclass",
    )

    await SCHEMA.upgrade(legacy, "0002")

    assert await rows(legacy, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == [(0,)]


async def test_the_old_application_goes_on_inserting(legacy: AsyncEngine) -> None:
    await execute(legacy, "DELETE FROM inventory.stock_financial")
    await execute(legacy, "DELETE FROM inventory.stock WHERE id = :id", id=STOCKS["d"])
    await SCHEMA.upgrade(legacy, "0002")

    await add_stock(legacy, "d")

    found = await rows(legacy, "SELECT reserved_quantity FROM inventory.stock ORDER BY id DESC LIMIT 1")
    assert found == [(0,)]
