"""Private databases for tests, on the engines that tests/conftest.py started."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from devtools.databases import create_database, drop_database
from servicekit.persistence.conflicts import may_run_again


def server_url(engine: str) -> str:
    """Returns the URL of the run's server of an engine: postgres, mysql or mariadb; without a database.

    A server that the run could not start fails the test that needs it.
    """
    url = os.environ.get(f"HOLDFAST_TEST_{engine.upper()}_URL")
    if url:
        return url
    message = f"this run has no {engine} server; its head says why"
    if os.environ.get("HOLDFAST_NO_ENGINES") and os.environ.get("CI") != "true":
        pytest.skip(message)
    pytest.fail(message)


@asynccontextmanager
async def copied_database(original: str) -> AsyncIterator[str]:
    """Gives the URL of a copy of a Postgres database that nobody is connected to, and drops the copy afterwards."""
    source = make_url(original)
    copy = source.set(database=f"test_{uuid4().hex[:16]}")
    server = create_async_engine(source.set(database="postgres"), isolation_level="AUTOCOMMIT")
    async with server.connect() as connection:
        await connection.execute(text(f'CREATE DATABASE "{copy.database}" TEMPLATE "{source.database}"'))
    await server.dispose()
    url = copy.render_as_string(hide_password=False)
    try:
        yield url
    finally:
        await drop_database(url)


@asynccontextmanager
async def fresh_database(engine: str) -> AsyncIterator[str]:
    """Gives the URL of a new, empty database, and drops it afterwards."""
    url = make_url(server_url(engine)).set(database=f"test_{uuid4().hex[:16]}")
    database = url.render_as_string(hide_password=False)
    await create_database(database)
    try:
        yield database
    finally:
        await drop_database(database)


async def truncate(engine: AsyncEngine, tables: Sequence[str]) -> None:
    """Empties tables of a database whose server goes on working: a deadlock with one of its workers is retried."""
    for attempt in range(10):
        try:
            async with engine.begin() as connection:
                await connection.execute(text(f"TRUNCATE {', '.join(tables)}"))
            return
        except DBAPIError as error:
            if not may_run_again(error) or attempt == 9:
                raise
