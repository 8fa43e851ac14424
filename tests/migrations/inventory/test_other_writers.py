"""What the old application, or anybody with a SQL prompt, writes past the service stays accounted for."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.migrations.inventory.legacy import SCHEMA, STOCKS, execute, rows
from tests.migrations.inventory.soundness import assert_sound

HOLD = "UPDATE inventory.stock SET reserved_quantity = :units WHERE id = :id"
COUNT = "UPDATE inventory.stock SET quantity = :units WHERE id = :id"


@pytest.fixture
async def other(legacy: AsyncEngine, postgres_url: str) -> AsyncIterator[AsyncEngine]:
    """The sessions of somebody who is not the service, on a database at the newest revision."""
    await SCHEMA.upgrade(legacy)
    engine = create_async_engine(postgres_url)
    yield engine
    await engine.dispose()


async def holds(engine: AsyncEngine, stock: str) -> list[tuple[object, ...]]:
    """State, units and openness of the reservations of a stock."""
    return await rows(
        engine,
        "SELECT state, l.quantity, open FROM inventory.reservation_line l"  # noqa: S608
        f" JOIN inventory.reservation USING (reservation_id) WHERE stock_id = '{STOCKS[stock]}'"
        " ORDER BY reservation_id",
    )


async def test_units_that_others_hold_and_free_are_a_hold_of_legacy(
    legacy: AsyncEngine, other: AsyncEngine
) -> None:
    seen = []
    for units in (2, 5, 0, 1):
        await execute(other, HOLD, units=units, id=STOCKS["d"])
        seen.append(await holds(legacy, "d"))

    assert seen == [
        [("HELD", 2, True)],
        [("HELD", 5, True)],
        [("RELEASED", 5, False)],
        [("RELEASED", 5, False), ("HELD", 1, True)],
    ]
    await assert_sound(legacy)


async def test_others_cannot_free_what_reservations_hold(legacy: AsyncEngine, other: AsyncEngine) -> None:
    await execute(
        legacy,
        "WITH taken AS (INSERT INTO inventory.reservation (reservation_id, holder, state, created_by, create_time)"
        " VALUES ('R1', 'shop', 'HELD', 'shop', now()))"
        " INSERT INTO inventory.reservation_line (reservation_id, stock_id, quantity) VALUES ('R1', :id, 4)",
        id=STOCKS["d"],
    )
    await execute(legacy, HOLD, units=4, id=STOCKS["d"])

    with pytest.raises(IntegrityError, match="1 units held by reservations"):
        await execute(other, HOLD, units=3, id=STOCKS["d"])
    await execute(other, HOLD, units=6, id=STOCKS["d"])

    assert await holds(legacy, "d") == [("HELD", 4, True), ("HELD", 2, True)]
    await assert_sound(legacy)


async def test_quantities_that_others_change_are_in_the_ledger(
    legacy: AsyncEngine, other: AsyncEngine
) -> None:
    await execute(other, COUNT, units=9, id=STOCKS["d"])
    await execute(other, COUNT, units=9, id=STOCKS["d"])
    await execute(other, COUNT, units=2, id=STOCKS["c"])
    await execute(other, "UPDATE inventory.stock SET notes = 'seen'")

    found = await rows(
        legacy,
        "SELECT stock_id::text, delta, reason, note FROM inventory.stock_movement WHERE actor = 'legacy'"
        " ORDER BY movement_id",
    )
    assert found == [
        (STOCKS["d"], 2, "OTHER", "changed past the service"),
        (STOCKS["c"], 2, "OTHER", "changed past the service"),
    ]
    await assert_sound(legacy)


async def test_a_stock_that_others_add_is_opened_with_its_units(
    legacy: AsyncEngine, other: AsyncEngine
) -> None:
    await execute(
        other,
        "INSERT INTO inventory.stock (product_id, size_id, quantity, status)"
        " VALUES (gen_random_uuid(), gen_random_uuid(), 5, 'listed_alias')",
    )

    ledger = "SELECT delta, reason FROM inventory.stock_movement WHERE actor = 'legacy'"
    assert await rows(legacy, ledger) == [(5, "OPENING")]
    await assert_sound(legacy)


async def test_what_the_service_writes_is_not_written_twice(legacy: AsyncEngine, other: AsyncEngine) -> None:
    before = await rows(legacy, "SELECT count(*) FROM inventory.stock_movement")

    await execute(legacy, COUNT, units=9, id=STOCKS["d"])
    await execute(legacy, HOLD, units=1, id=STOCKS["d"])

    assert await rows(legacy, "SELECT count(*) FROM inventory.stock_movement") == before
    assert await holds(legacy, "d") == []
