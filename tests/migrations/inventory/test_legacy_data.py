"""What revisions 0002 to 0004 make of the flags, documents and reservations of older systems."""

from typing import Any

import pytest
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.migrations.inventory.legacy import SCHEMA, STOCKS, execute, rows

RESERVATION = """
CREATE TABLE inventory.stock_reservation (
    id integer GENERATED ALWAYS AS IDENTITY, stock_id uuid, reserved_quantity integer, reserved_until timestamptz,
    reservation_reason text, status varchar(50), reserved_by varchar(100)
)
"""
HOLDS = (
    "SELECT right(stock_id::text, 1), holder, state, quantity, open, expire_time > now() FROM inventory.reservation"
    " JOIN inventory.reservation_line USING (reservation_id) ORDER BY 1, reservation_id"
)


async def reserve(engine: AsyncEngine, name: str, units: int, until: str = "1 day", **more: str) -> None:
    """Adds a row to stock_reservation; `until` is an interval from now."""
    values: dict[str, Any] = {"status": "active", "by": "web shop"} | more
    await execute(
        engine,
        "INSERT INTO inventory.stock_reservation (stock_id, reserved_quantity, reserved_until, status, reserved_by)"
        " VALUES (CAST(:id AS uuid), :units, now() + CAST(CAST(:until AS text) AS interval), :status, :by)",
        **{"id": STOCKS[name], "units": units, "until": until} | values,
    )


@pytest.fixture
async def reserving(legacy: AsyncEngine) -> AsyncEngine:
    """The legacy database with an empty stock_reservation; stock b counts 3 units of 4 as reserved."""
    await execute(legacy, RESERVATION)
    return legacy


async def test_flags_become_listings_with_a_note_unless_there_is_one(legacy: AsyncEngine) -> None:
    for flag in ("listed_stockx", "listed_alias", "listed_local"):
        await execute(legacy, f"ALTER TABLE inventory.stock ADD COLUMN {flag} boolean DEFAULT true")

    await SCHEMA.upgrade(legacy)

    platforms = (
        "SELECT jsonb_path_query_array(listed_on_platforms, '$[*] ? (@.status == \"active\").platform'),"
        " jsonb_path_query_array(status_history, '$[*].reason') FROM inventory.stock WHERE id = '{}'"
    )
    notes = [f"migration 0003: listed_{platform}" for platform in ("stockx", "alias", "local")]
    assert await rows(legacy, platforms.format(STOCKS["d"])) == [(["stockx", "alias", "local"], notes)]
    found = await rows(legacy, platforms.format(STOCKS["a"]))
    assert found == [(["stockx", "alias", "local"], ["migration 0003", *notes[1:]])]


async def test_documents_of_every_writer_become_lists_of_entries(legacy: AsyncEngine) -> None:
    await execute(
        legacy,
        "UPDATE inventory.stock_lifecycle SET listed_on_platforms ="
        ' \'{"StockX": {"price": 99.90, "listedAt": "2025-01-02T03:04:05Z"}, "ebay": true}\','
        " status_history = to_jsonb(CAST('[\"in_stock\"]' AS text))",
    )

    await SCHEMA.upgrade(legacy)

    ((listings, history),) = await rows(
        legacy, "SELECT listed_on_platforms, status_history FROM inventory.stock WHERE quantity = 5"
    )
    assert sorted(listings, key=len, reverse=True) == [
        {
            "platform": "stockx",
            "listing_id": f"legacy:{STOCKS['a']}",
            "status": "active",
            "ask_price": "99.90",
            "listed_at": "2025-01-02T03:04:05+00:00",
        },
        {"platform": "ebay", "listing_id": f"legacy:{STOCKS['a']}", "status": "active"},
    ]
    assert [entry["to_status"] for entry in history] == ["in_stock", "in_stock"]


async def test_documents_in_both_places_are_joined_and_nothing_is_doubled(legacy: AsyncEngine) -> None:
    await execute(legacy, "ALTER TABLE inventory.stock ADD COLUMN listed_on_platforms jsonb")
    await execute(
        legacy,
        'UPDATE inventory.stock SET listed_on_platforms = \'[{"platform": "goat", "listing_id": "G"},'
        ' {"platform": "ebay", "listing_id": "E1", "status": "ended"}]\' WHERE quantity = 5',
    )
    await execute(
        legacy,
        "UPDATE inventory.stock_lifecycle SET listed_on_platforms ="
        ' listed_on_platforms || CAST(\'{"platform": "local", "listing_id": "L"}\' AS jsonb)',
    )

    await SCHEMA.upgrade(legacy)

    ids = "SELECT jsonb_path_query(listed_on_platforms, '$[*].listing_id') FROM inventory.stock WHERE quantity = 5"
    found = [listing_id for (listing_id,) in await rows(legacy, ids)]
    assert found == ["L", "G", "E1", f"legacy:status:{STOCKS['a']}"]


async def test_a_document_of_no_known_shape_stops_it_by_name(legacy: AsyncEngine) -> None:
    await execute(legacy, "UPDATE inventory.stock_lifecycle SET listed_on_platforms = '[7]'")

    with pytest.raises(InvalidRequestError, match=f"{STOCKS['a']} has a document of no known shape: 7"):
        await SCHEMA.upgrade(legacy)

    assert await SCHEMA.applied(legacy) == "0002"


async def test_open_reservations_become_holds_of_those_who_made_them(reserving: AsyncEngine) -> None:
    await reserve(reserving, "b", 2)
    await reserve(reserving, "b", 1, status="released")
    await reserve(reserving, "d", 4, "-1 day")
    await reserve(reserving, "a", 3, "-1 day", by="")
    await reserve(reserving, "a", 2, status="OPEN", by="")

    await SCHEMA.upgrade(reserving)

    assert await rows(reserving, HOLDS) == [
        ("a", "legacy", "EXPIRED", 3, False, False),
        ("a", "legacy", "HELD", 2, True, True),
        ("b", "legacy", "HELD", 1, True, None),
        ("b", "web-shop", "HELD", 2, True, True),
        ("d", "web-shop", "EXPIRED", 4, False, False),
    ]
    counted = "SELECT right(id::text, 1), reserved_quantity FROM inventory.stock WHERE reserved_quantity > 0 ORDER BY 1"
    assert await rows(reserving, counted) == [("a", 2), ("b", 3)]


async def test_a_hold_past_its_time_that_is_still_counted_is_left_to_the_service(
    reserving: AsyncEngine,
) -> None:
    await reserve(reserving, "b", 3, "-1 day")

    await SCHEMA.upgrade(reserving)

    assert await rows(reserving, HOLDS) == [("b", "web-shop", "HELD", 3, True, False)]


async def test_more_reserved_than_is_counted_stops_it_by_name(reserving: AsyncEngine) -> None:
    await reserve(reserving, "b", 4)

    with pytest.raises(InvalidRequestError, match=r"b \(4 reserved, 3 counted, of 4\)"):
        await SCHEMA.upgrade(reserving)

    assert await SCHEMA.applied(reserving) == "0003"
