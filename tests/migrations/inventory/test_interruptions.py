"""An upgrade may be cut short anywhere, killed, and begun by several at once."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.engines import create_engine
from tests.migrations.inventory.legacy import HEAD, SCHEMA, base_rows, legacy_rows
from tests.migrations.inventory.soundness import assert_sound
from tests.support.databases import fresh_database


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
