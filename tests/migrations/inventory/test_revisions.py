"""Every revision goes up, down and up again with rows in it, and ends where tables.py is."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.migrations.inventory.legacy import HEAD, REVISIONS, SCHEMA, base_rows, execute, reserved
from tests.migrations.inventory.soundness import assert_sound, differences


async def test_an_empty_database_becomes_what_the_tables_say(engine: AsyncEngine) -> None:
    await SCHEMA.upgrade(engine)

    assert await SCHEMA.applied(engine) == HEAD
    await assert_sound(engine)


async def test_a_database_in_use_becomes_what_the_tables_say(legacy: AsyncEngine) -> None:
    before = await base_rows(legacy)

    await SCHEMA.upgrade(legacy)

    await assert_sound(legacy)
    assert await base_rows(legacy) == before


async def test_a_difference_would_be_seen(engine: AsyncEngine) -> None:
    await SCHEMA.upgrade(engine)
    await execute(engine, "ALTER TABLE inventory.reservation ADD COLUMN strange text")
    await execute(engine, "DROP INDEX inventory.ix_stock_movement_reference")

    async with engine.connect() as connection:
        assert len(await connection.run_sync(differences)) == 2


@pytest.mark.parametrize("revision", REVISIONS[1:])
async def test_a_revision_goes_up_and_down_and_up_with_rows(legacy: AsyncEngine, revision: str) -> None:
    below = REVISIONS[REVISIONS.index(revision) - 1]
    await SCHEMA.upgrade(legacy, below)
    stocks, held = await base_rows(legacy), await reserved(legacy)

    await SCHEMA.upgrade(legacy, revision)
    await SCHEMA.downgrade(legacy, below)
    assert await SCHEMA.applied(legacy) == below
    assert (await base_rows(legacy), await reserved(legacy)) == (stocks, held)
    await SCHEMA.upgrade(legacy, revision)

    assert (await base_rows(legacy), await reserved(legacy)) == (stocks, held)
    await SCHEMA.upgrade(legacy)
    await assert_sound(legacy)


async def test_all_the_way_down_leaves_nothing_of_ours(legacy: AsyncEngine) -> None:
    await SCHEMA.upgrade(legacy)

    await SCHEMA.downgrade(legacy, "base")

    assert await SCHEMA.applied(legacy) is None
    async with legacy.connect() as connection:
        left = await connection.exec_driver_sql(
            "SELECT relname FROM pg_class WHERE relnamespace = 'inventory'::regnamespace"
        )
        assert left.scalars().all() == []
