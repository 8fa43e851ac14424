from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.persistence.engines import create_engine
from servicekit.schema import schema_history
from servicekit.schema.migrations import Schema
from servicekit.schema.schema_history import HISTORY_TABLE
from tests.servicekit.scripts import write_history


@pytest.fixture
async def engine(empty_url: str) -> AsyncIterator[AsyncEngine]:
    """The engine as migrations use it, upon an empty database."""
    engine = create_engine(empty_url, for_migrations=True)
    yield engine
    await engine.dispose()


async def ask(engine: AsyncEngine, question: Callable[..., datetime | None], *values: Any) -> datetime | None:
    """What the record answers."""
    async with engine.connect() as connection:
        return await connection.run_sync(lambda sync: question(sync, *values))


async def entries(engine: AsyncEngine) -> list[tuple[str, str]]:
    """The kinds and names of all entries, in their order."""
    query = text(f"SELECT kind, name FROM {HISTORY_TABLE} ORDER BY entry_id")  # noqa: S608
    async with engine.connect() as connection:
        return [(row.kind, row.name) for row in await connection.execute(query)]


async def test_every_step_is_recorded_with_its_time(engine: AsyncEngine, tmp_path: Path) -> None:
    schema = Schema("shop", write_history(tmp_path / "shop"))
    assert await ask(engine, schema_history.applied_since, "0001") is None

    await schema.upgrade(engine, "0002")
    await schema.downgrade(engine, "0001")
    await schema.upgrade(engine, "0002")

    assert await entries(engine) == [
        ("applied", "0001"),
        ("serves since", "0001"),
        ("applied", "0002"),
        ("taken back", "0002"),
        ("applied", "0002"),
    ]
    since = await ask(engine, schema_history.applied_since, "0002")
    async with engine.connect() as connection:
        now = (await connection.execute(select(func.now()))).scalar_one()
    assert since is not None
    assert abs(now.replace(tzinfo=None) - since.replace(tzinfo=None)) < timedelta(minutes=1)


async def test_a_revision_that_is_taken_back_and_applied_again_counts_from_the_last_time(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    schema = Schema("shop", write_history(tmp_path / "shop"))
    await schema.upgrade(engine, "0002")
    async with engine.begin() as connection:
        await connection.execute(text(f"UPDATE {HISTORY_TABLE} SET record_time = '2001-01-01'"))  # noqa: S608
    assert getattr(await ask(engine, schema_history.applied_since, "0002"), "year", None) == 2001

    await schema.downgrade(engine, "0001")
    await schema.upgrade(engine, "0002")

    assert getattr(await ask(engine, schema_history.applied_since, "0001"), "year", None) == 2001
    assert getattr(await ask(engine, schema_history.applied_since, "0002"), "year", 0) > 2001


async def test_what_was_there_before_the_record_counts_from_when_it_was_found(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    schema = Schema("shop", write_history(tmp_path / "shop"))
    await schema.upgrade(engine, "0002")
    async with engine.begin() as connection:
        await connection.execute(text(f"DROP TABLE {HISTORY_TABLE}"))

    await schema.upgrade(engine)

    assert await entries(engine) == [("found", "0002"), ("applied", "0003"), ("serves since", "0001")]
    assert await ask(engine, schema_history.applied_since, "0001") is not None
