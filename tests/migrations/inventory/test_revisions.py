"""Every revision goes up, down and up again with rows in it, and may be cut short anywhere."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service.persistence.consistency import consistency_checks
from inventory_service.persistence.tables import metadata
from servicekit.engines import create_engine
from servicekit.migrations import VERSION_TABLE
from tests.migrations.inventory.legacy import (
    HEAD,
    REVISIONS,
    SCHEMA,
    base_rows,
    execute,
    legacy_rows,
    reserved,
)
from tests.support.databases import fresh_database

OURS = set(metadata.tables)


def differences(connection: Connection) -> list[Any]:
    """Where the migrated schema is not what tables.py says; the legacy tables and partitions aside."""

    def of_ours(name: str | None, kind: str, parents: dict[str, str | None]) -> bool:
        return kind != "table" or f"inventory.{name}" in OURS

    options = {
        "compare_type": True,
        "compare_server_default": True,
        "include_schemas": True,
        "include_name": of_ours,
        "version_table": VERSION_TABLE,
    }
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def assert_sound(engine: AsyncEngine) -> None:
    """The schema is what tables.py says, and the books agree with themselves."""
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    found = [finding for check in consistency_checks(engine).values() async for finding in check()]
    assert found == []


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


@contextmanager
def cut_at(engine: AsyncEngine, statement_number: int) -> Iterator[list[int]]:
    """The connection is lost before the statement of this number, as when the process is killed there."""
    seen = [0]

    def before(connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.lstrip().startswith("SELECT"):
            # Dying before a look is dying before the change that follows it.
            return
        seen[0] += 1
        if seen[0] == statement_number:
            raise OperationalError(statement, {}, ConnectionResetError("killed"))

    event.listen(engine.sync_engine, "before_cursor_execute", before)
    try:
        yield seen
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", before)


@pytest.mark.parametrize("part", range(4))
async def test_an_upgrade_cut_at_any_statement_is_finished_by_the_next(part: int) -> None:
    number = part + 1
    while True:
        async with fresh_database("postgres") as url:
            engine = create_engine(url, pool_size=4, for_migrations=True)
            await legacy_rows(engine)
            before = await base_rows(engine)
            try:
                with cut_at(engine, number):
                    await SCHEMA.upgrade(engine)
                finished = True
            except OperationalError:
                finished = False

            await SCHEMA.upgrade(engine)

            assert await SCHEMA.applied(engine) == HEAD, number
            assert await base_rows(engine) == before, number
            await assert_sound(engine)
            await engine.dispose()
        if finished:
            assert number > 40
            return
        number += 4


async def run(url: str, **environment: str) -> int:
    """`migrate upgrade` as a process; its exit code."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "inventory_service", "migrate", "upgrade"),
        env=os.environ | {"INVENTORY_DATABASE_URL": url, "INVENTORY_LOG_LEVEL": "warning"} | environment,
    )
    return await process.wait()


@pytest.mark.parametrize(
    "place", ["migrate.after_lock", "migrate.between_steps:40", "migrate.before_version:3"]
)
async def test_an_upgrade_that_is_killed_is_finished_by_the_next(
    legacy: AsyncEngine, postgres_url: str, place: str
) -> None:
    assert await run(postgres_url, HOLDFAST_CRASH_AT=place) == 137
    assert await SCHEMA.applied(legacy) != HEAD

    assert await run(postgres_url) == 0

    assert await SCHEMA.applied(legacy) == HEAD
    await assert_sound(legacy)


async def test_upgraders_at_once_migrate_once(legacy: AsyncEngine, postgres_url: str) -> None:
    assert await asyncio.gather(*(run(postgres_url) for _ in range(3))) == [0, 0, 0]

    assert await SCHEMA.applied(legacy) == HEAD
    await assert_sound(legacy)
