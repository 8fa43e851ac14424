"""`migrate schedule-refresh` on a server with pg_cron, and on one without."""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from devtools.databases import create_database
from devtools.engines.engine import EngineUnavailable
from inventory_service.commands.schedule_refresh import ACTION
from servicekit.persistence.engines import create_engine
from servicekit.schema.migrations import Schema
from tests.inventory_service.refreshes import shown_time
from tests.support.forks import run_command
from tests.support.pg_cron import DATABASE, cron_server

JOB = "SELECT jobname, schedule, command, database, active FROM cron.job"
REFRESH = "SELECT inventory.refresh_stock_metrics()"


@pytest.fixture(scope="module")
async def cron_engine() -> AsyncIterator[AsyncEngine]:
    """A migrated database in which pg_cron is installed."""
    try:
        server = cron_server()
    except EngineUnavailable as reason:
        pytest.skip(str(reason))
    try:
        server.start()
        url = server.url(DATABASE)
        await create_database(url)
        engine = create_engine(url, pool_size=3, for_migrations=True)
        await Schema("inventory").upgrade(engine)
        async with engine.begin() as connection:
            await connection.execute(text("CREATE EXTENSION pg_cron"))
        yield engine
        await engine.dispose()
    finally:
        server.discard()


async def schedule_refresh(engine: AsyncEngine, *arguments: str) -> int:
    """The action, as the command line runs it; its exit code."""
    parser = argparse.ArgumentParser()
    ACTION.add_arguments(parser)
    return await ACTION.run(parser.parse_args(arguments), Schema("inventory"), engine)


async def scheduled(engine: AsyncEngine) -> bool:
    """Whether the service leaves the view to the database."""
    [(noted,)] = await rows(engine, "SELECT scheduled FROM inventory.stock_metrics_refresh")
    return bool(noted)


async def rows(engine: AsyncEngine, query: str) -> list[tuple[Any, ...]]:
    """What a query finds."""
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


async def test_the_job_is_installed_when_asked_once_and_taken_back(
    cron_engine: AsyncEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await rows(cron_engine, JOB) == []

    assert await schedule_refresh(cron_engine) == 0
    assert await schedule_refresh(cron_engine, "--schedule", "*/5 * * * *") == 0

    assert "the service stands by" in capsys.readouterr().out
    name = "holdfast-refresh-stock-metrics"
    assert await rows(cron_engine, JOB) == [(name, "*/5 * * * *", REFRESH, DATABASE, True)]
    assert await scheduled(cron_engine)

    assert [await schedule_refresh(cron_engine, "--remove") for _ in range(2)] == [0, 0]
    assert await rows(cron_engine, JOB) == []
    assert not await scheduled(cron_engine)


async def test_a_job_of_another_user_is_named_and_stays(
    cron_engine: AsyncEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await schedule_refresh(cron_engine) == 0
    async with cron_engine.begin() as connection:
        await connection.execute(text("CREATE ROLE reports SUPERUSER LOGIN"))
        await connection.execute(text("UPDATE cron.job SET username = 'reports'"))

    assert await schedule_refresh(cron_engine, "--remove") == 1

    assert "reports installed a job holdfast-refresh-stock-metrics" in capsys.readouterr().err
    assert (len(await rows(cron_engine, JOB)), await scheduled(cron_engine)) == (1, True)
    async with cron_engine.begin() as connection:
        await connection.execute(text("UPDATE cron.job SET username = current_user"))
    assert await schedule_refresh(cron_engine, "--remove") == 0


async def test_a_schedule_that_is_none_changes_nothing(cron_engine: AsyncEngine) -> None:
    with pytest.raises(DBAPIError, match="invalid schedule"):
        await schedule_refresh(cron_engine, "--schedule", "hourly, please")

    assert await rows(cron_engine, JOB) == []
    assert not await scheduled(cron_engine)


# The shortest schedule of cron is a minute.
@pytest.mark.skipif(
    "HOLDFAST_LONG_TESTS" not in os.environ, reason="waits up to a minute for cron's next turn"
)
async def test_cron_refreshes_the_view_and_dates_it(cron_engine: AsyncEngine) -> None:
    before = await shown_time(cron_engine)
    assert before is not None
    await schedule_refresh(cron_engine, "--schedule", "* * * * *")

    for _ in range(80):
        if await shown_time(cron_engine) != before:
            break
        await asyncio.sleep(1)
    after = await shown_time(cron_engine)
    await schedule_refresh(cron_engine, "--remove")

    assert after is not None
    assert after > before
    runs = await rows(cron_engine, "SELECT command, status FROM cron.job_run_details")
    assert (REFRESH, "succeeded") in runs


async def test_without_pg_cron_it_says_what_is_missing_and_changes_nothing(
    postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = create_engine(postgres_url, pool_size=2, for_migrations=True)
    assert await schedule_refresh(engine) == 1
    assert "migrate upgrade" in capsys.readouterr().err
    await Schema("inventory").upgrade(engine)

    done = await run_command("inventory", "migrate", "schedule-refresh", INVENTORY_DATABASE_URL=postgres_url)

    assert (done.code, "shared_preload_libraries" in done.errors) == (1, True)
    assert not await scheduled(engine)
    assert await schedule_refresh(engine, "--remove") == 0
    await engine.dispose()
