"""A consolidated database and the command that removes what the consolidation left."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from inventory_service.contract_steps.command import ACTION
from servicekit.persistence.engines import create_engine
from servicekit.schema import migrate_command
from servicekit.schema.schema_history import HISTORY_TABLE
from tests.migrations.inventory.legacy import SCHEMA, execute, legacy_rows, rows
from tests.support.databases import copied_database, fresh_database

Contract = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture(scope="session")
async def consolidated() -> AsyncIterator[str]:
    """A database with rows of the old application, at the newest revision: to be copied, never changed."""
    async with fresh_database("postgres") as url:
        engine = create_engine(url, pool_size=4, for_migrations=True)
        await legacy_rows(engine)
        await SCHEMA.upgrade(engine)
        await engine.dispose()
        yield url


@pytest.fixture
async def postgres_url(consolidated: str) -> AsyncIterator[str]:
    """A copy of it."""
    async with copied_database(consolidated) as url:
        yield url


@pytest.fixture
async def engine(postgres_url: str) -> AsyncIterator[AsyncEngine]:
    """The tests' way into that copy."""
    engine = create_engine(postgres_url, pool_size=4, for_migrations=True)
    yield engine
    await engine.dispose()


@pytest.fixture
async def contract(
    engine: AsyncEngine, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Contract]:
    """Runs `migrate contract` with arguments as a process would; answers exit code, output and errors."""
    parser = argparse.ArgumentParser()
    migrate_command.add_parser(parser.add_subparsers(), [ACTION])

    async def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        arguments = parser.parse_args(["migrate", "contract", *words])
        with capture_logs():
            code = await asyncio.to_thread(migrate_command.run, arguments, SCHEMA, postgres_url)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    yield run


async def let_pass(engine: AsyncEngine, days: int) -> None:
    """As if everything had been recorded so many days earlier."""
    await execute(
        engine,
        f"UPDATE {HISTORY_TABLE} SET record_time = record_time - make_interval(days => :days)",  # noqa: S608
        days=days,
    )
    await execute(
        engine,
        "UPDATE inventory.stock SET updated_at = updated_at - make_interval(days => :days)",
        days=days,
    )


async def picture(engine: AsyncEngine) -> list[tuple[object, ...]]:
    """The split tables and their backups as they are: which exist, with how many rows of which content."""
    names = await rows(
        engine,
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'inventory'::regnamespace"
        " AND (relname ~ '_backup$' OR relname IN ('stock_financial', 'stock_lifecycle', 'stock_metrics'))"
        " ORDER BY relname",
    )
    found: list[tuple[object, ...]] = []
    for (name,) in names:
        found.append((name, *await rows(engine, f"SELECT t::text FROM inventory.{name} t ORDER BY 1")))  # noqa: S608
    return found
