"""Revisions 0003 to 0007: codes, guards, holds, ledger, removed stocks."""

import pytest
from sqlalchemy.exc import IntegrityError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.migrations.inventory.legacy import SCHEMA, STOCKS, add_stock, execute, rows


async def test_a_stock_without_a_code_gets_its_id(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy, "0003")

    assert await rows(legacy, "SELECT count(*) FROM inventory.stock WHERE sku = id::text") == [(4,)]


async def test_the_old_applications_insert_gets_a_code_too(legacy: AsyncEngine) -> None:
    await execute(legacy, "DELETE FROM inventory.stock_lifecycle")
    await execute(legacy, "DELETE FROM inventory.stock WHERE id = :id", id=STOCKS["a"])
    await SCHEMA.upgrade(legacy)

    await add_stock(legacy, "a")

    query = "SELECT sku, version FROM inventory.stock ORDER BY id LIMIT 1"
    assert await rows(legacy, query) == [(STOCKS["a"], 1)]


async def test_listed_and_reserved_are_statuses_no_more(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy, "0003")

    assert await rows(legacy, "SELECT DISTINCT status FROM inventory.stock ORDER BY 1") == [
        ("in_stock",),
        ("sold",),
    ]
    listings = "SELECT jsonb_path_query(listed_on_platforms, '$[*].platform') FROM inventory.stock"
    assert await rows(legacy, listings) == [("ebay",), ("stockx",)]
    history = "SELECT id::text, jsonb_path_query(status_history, '$[*].from_status') FROM inventory.stock"
    assert sorted(await rows(legacy, history)) == [
        (STOCKS["a"], "listed_stockx"),
        (STOCKS["b"], "reserved"),
    ]


async def test_rows_are_rewritten_a_thousand_at_a_time(legacy: AsyncEngine) -> None:
    await execute(
        legacy,
        "INSERT INTO inventory.stock (id, product_id, size_id, quantity, status)"
        " SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 1, 'listed_alias'"
        " FROM generate_series(1, 5001)",
    )

    await SCHEMA.upgrade(legacy, "0003")

    most = "SELECT max(rows) FROM (SELECT count(*) AS rows FROM inventory.stock GROUP BY xmin) of_one_transaction"
    assert await rows(legacy, most) == [(1000,)]
    assert await rows(legacy, "SELECT count(*) FROM inventory.stock WHERE status = 'in_stock'") == [(5004,)]


async def test_an_active_listing_is_not_made_twice(legacy: AsyncEngine) -> None:
    await execute(
        legacy,
        "UPDATE inventory.stock_lifecycle SET listed_on_platforms ="
        ' \'[{"platform": "stockx", "listing_id": "S1", "status": "active"}]\'',
    )

    await SCHEMA.upgrade(legacy, "0003")

    listings = "SELECT jsonb_path_query(listed_on_platforms, '$[*].listing_id') FROM inventory.stock"
    assert await rows(legacy, listings) == [("S1",)]


async def test_the_old_applications_statuses_are_translated_as_it_writes_them(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy, "0003")

    for status in ("listed_alias", "reserved", "listed_alias"):
        await execute(
            legacy, "UPDATE inventory.stock SET status = :s WHERE id = :id", s=status, id=STOCKS["d"]
        )

    found = await rows(
        legacy,
        "SELECT status, jsonb_path_query_array(listed_on_platforms, '$[*].platform')::text,"
        " jsonb_path_query_array(status_history, '$[*].from_status')::text"
        " FROM inventory.stock ORDER BY id DESC LIMIT 1",
    )
    assert found == [("in_stock", '["alias"]', '["listed_alias", "reserved", "listed_alias"]')]


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("UPDATE inventory.stock SET status = 'vanished' WHERE quantity = 7", r"not known: .*d \(vanished\)"),
        ("UPDATE inventory.stock_metrics SET reserved_quantity = 9", r"hold more .*b \(9 of 4\)"),
        ("UPDATE inventory.stock_metrics SET reserved_quantity = -5", r"less than nothing: .*b \(-5 of 4\)"),
    ],
)
async def test_rows_that_have_no_place_stop_it_by_name(
    legacy: AsyncEngine, damage: str, complaint: str
) -> None:
    await execute(legacy, damage)

    with pytest.raises(InvalidRequestError, match=complaint):
        await SCHEMA.upgrade(legacy)

    assert await SCHEMA.applied(legacy) == "0002"


async def test_units_held_before_become_a_hold_of_the_holder_legacy(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy, "0004")

    query = (
        "SELECT reservation_id, holder, state, quantity, open FROM inventory.reservation"
        " JOIN inventory.reservation_line USING (reservation_id)"
    )
    assert await rows(legacy, query) == [(f"legacy:{STOCKS['b']}", "legacy", "HELD", 3, True)]


async def test_every_stock_with_units_gets_one_opening_entry(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy, "0005")

    query = "SELECT stock_id::text, delta, reason FROM inventory.stock_movement ORDER BY stock_id"
    assert await rows(legacy, query) == [
        (STOCKS["a"], 5, "OPENING"),
        (STOCKS["b"], 4, "OPENING"),
        (STOCKS["d"], 7, "OPENING"),
    ]


async def test_the_ledger_has_partitions_ahead_and_one_for_what_nobody_foresaw(engine: AsyncEngine) -> None:
    await SCHEMA.upgrade(engine)
    add = (
        "INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)"
        " VALUES (CAST(:time AS text)::timestamptz, gen_random_uuid(), 1, 'FOUND', 'test')"
    )
    months = "SELECT to_char(now() + make_interval(months => n), 'YYYY_MM') FROM generate_series(0, 12) n"
    expected = [f"inventory.stock_movement_{month}" for (month,) in await rows(engine, months)]

    tables = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'inventory.stock_movement'::regclass"
    found = [name for (name,) in await rows(engine, tables)]
    await execute(engine, add, time="now")
    await execute(engine, add, time="1999-01-01")

    assert sorted(found) == sorted([*expected, "inventory.stock_movement_default"])
    places = await rows(
        engine, "SELECT tableoid::regclass::text FROM inventory.stock_movement ORDER BY create_time"
    )
    assert places == [("inventory.stock_movement_default",), (expected[0],)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE inventory.stock SET reserved_quantity = quantity + 1",
        "UPDATE inventory.stock SET reserved_quantity = -1",
        "UPDATE inventory.stock SET status = 'vanished'",
        "UPDATE inventory.stock SET sku = 'same'",
        "UPDATE inventory.stock SET sku = NULL",
        "UPDATE inventory.reservation SET state = 'RELEASED'",
        "UPDATE inventory.reservation_line SET committed_quantity = quantity + 1",
        "UPDATE inventory.stock_movement SET delta = 0",
    ],
)
async def test_the_schema_refuses_what_must_be_impossible(legacy: AsyncEngine, statement: str) -> None:
    await SCHEMA.upgrade(legacy)

    with pytest.raises(IntegrityError):
        await execute(legacy, statement)


async def test_stocks_that_only_the_new_schema_can_have_stop_the_way_back_by_name(
    legacy: AsyncEngine,
) -> None:
    await SCHEMA.upgrade(legacy)
    await execute(legacy, "INSERT INTO inventory.stock (sku, quantity) VALUES ('NEW', 0)")

    with pytest.raises(InvalidRequestError, match="NEW"):
        await SCHEMA.downgrade(legacy, "0001")

    assert await SCHEMA.applied(legacy) == SCHEMA.expected


async def test_lines_of_a_stock_that_is_gone_stop_the_way_back(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy)
    await execute(legacy, "DELETE FROM inventory.stock WHERE reserved_quantity > 0")

    with pytest.raises(
        InvalidRequestError, match=r"reservations with lines of stocks that are gone .*: legacy:"
    ):
        await SCHEMA.downgrade(legacy, "0006")

    assert await SCHEMA.applied(legacy) == SCHEMA.expected
