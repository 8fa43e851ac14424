"""An upgrade may be cut short anywhere, killed, and begun by several at once."""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.persistence.engines import create_engine
from tests.migrations.inventory.legacy import HEAD, REVISIONS, SCHEMA, base_rows, contents, legacy_rows
from tests.migrations.inventory.soundness import assert_sound
from tests.support.databases import copied_database, fresh_database
from tests.support.forks import run_command

# Cuts of one revision, spread evenly from its first statement to its last; HOLDFAST_LONG_TESTS cuts at each.
CUTS = 6


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


@pytest.mark.parametrize("revision", REVISIONS[1:])
async def test_a_revision_cut_at_any_statement_is_finished_by_the_next_attempt(revision: str) -> None:
    async with fresh_database("postgres") as original:
        engine = create_engine(original, pool_size=3, for_migrations=True)
        await legacy_rows(engine)
        await SCHEMA.upgrade(engine, REVISIONS[REVISIONS.index(revision) - 1])
        before = await base_rows(engine)
        await engine.dispose()
        async with copied_database(original) as url:
            (uncut,), statements = await _upgraded(url, revision)
        assert statements > 1
        for number in _cuts(statements):
            async with copied_database(original) as url:
                (first, then), _ = await _upgraded(url, revision, cut=number)
                assert first != uncut, number
                assert then == uncut, number
        async with copied_database(original) as url:
            await _upgraded(url, revision, cut=statements)
            await _finish(url, before)


def _cuts(statements: int) -> Sequence[int]:
    if "HOLDFAST_LONG_TESTS" in os.environ or statements <= CUTS:
        return range(1, statements + 1)
    return sorted({1 + round(step * (statements - 1) / (CUTS - 1)) for step in range(CUTS)})


async def _upgraded(
    url: str, revision: str, cut: int | None = None
) -> tuple[list[list[tuple[Any, ...]]], int]:
    """What is there after an attempt that is cut, if one is, and after one that is not; and its statements."""
    engine = create_engine(url, pool_size=3, for_migrations=True)
    seen = []
    if cut is not None:
        with suppress(OperationalError), cut_at(engine, cut):
            await SCHEMA.upgrade(engine, revision)
        seen.append(await contents(engine))
    with cut_at(engine, 0) as statements:
        await SCHEMA.upgrade(engine, revision)
    seen.append(await contents(engine))
    await engine.dispose()
    return seen, statements[0]


async def _finish(url: str, before: list[tuple[Any, ...]]) -> None:
    engine = create_engine(url, pool_size=3, for_migrations=True)
    await SCHEMA.upgrade(engine)
    assert await SCHEMA.applied(engine) == HEAD
    assert await base_rows(engine) == before
    await assert_sound(engine)
    await engine.dispose()


async def run(url: str, **environment: str) -> int:
    """`migrate upgrade` as a process; its exit code."""
    given = {"INVENTORY_DATABASE_URL": url, "INVENTORY_LOG_LEVEL": "warning"} | environment
    return (await run_command("inventory", "migrate", "upgrade", **given)).code


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


async def test_an_upgrade_that_is_interrupted_while_it_rewrites_rows_says_so_and_nothing_else(
    legacy: AsyncEngine,
) -> None:
    @contextmanager
    def progress(_title: str, _total: int | None) -> Iterator[Callable[[int], None]]:
        asyncio.get_running_loop().call_soon(upgrade.cancel)
        yield lambda done: None

    upgrade = asyncio.create_task(SCHEMA.upgrade(legacy, progress=progress))
    with pytest.raises(asyncio.CancelledError):
        await upgrade

    await SCHEMA.upgrade(legacy)
    assert await SCHEMA.applied(legacy) == HEAD
