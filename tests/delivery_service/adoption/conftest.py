"""Adoptions in this process, over databases of their own, on each engine."""

import argparse
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.adoption.adopt import adopt as adopt_database
from delivery_service.adoption.run import Request, Run
from servicekit.persistence.engines import create_engine
from servicekit.reports.findings import Findings
from servicekit.reports.progress import progress
from servicekit.schema.migrate_command import Action
from servicekit.schema.migrations import VERSION_TABLE, Progress, Schema
from servicekit.schema.schema_history import HISTORY_TABLE
from tests.delivery_service.adoption.command import Command, migrate
from tests.support.forks import Done
from tests.support.programs import dump_program

Adopt = Callable[..., Awaitable[str]]
SCHEMA = Schema("delivery")


@pytest.fixture
async def engine(delivery_url: str) -> AsyncIterator[AsyncEngine]:
    """An empty database."""
    engine = create_engine(delivery_url, pool_size=5, for_migrations=True)
    yield engine
    await engine.dispose()


@pytest.fixture
async def legacy(engine: AsyncEngine) -> AsyncEngine:
    """A database with the legacy tables, empty, that no service has seen."""
    await SCHEMA.upgrade(engine, "0001")
    async with engine.begin() as connection:
        await connection.exec_driver_sql(f"DROP TABLE {VERSION_TABLE}, {HISTORY_TABLE}")
    return engine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where backups and reports go; not there yet."""
    return tmp_path / "backups"


@pytest.fixture
def dump(delivery_engine: str, tmp_path: Path) -> Path:
    """The dump program of the engine, with its client beside it."""
    return dump_program(delivery_engine, tmp_path / "programs")


async def run_adoption(engine: AsyncEngine, request: Request, progress: Progress = progress) -> str:
    """Runs an adoption and answers what it told."""
    # What the test itself left connected looks like an old application.
    await engine.dispose()
    told: list[str] = []
    stops, oddities = Findings(request.folder / "stops.txt"), Findings(request.folder / "oddities.txt")
    await adopt_database(Run(engine, SCHEMA, request, told.append, progress, stops, oddities))
    return "\n".join(told)


@pytest.fixture
def adopt(engine: AsyncEngine, folder: Path, dump: Path) -> Adopt:
    """Runs an adoption and answers what it told; keyword arguments are those of its Request."""

    async def run(**asked: Any) -> str:
        return await run_adoption(engine, Request(folder=folder, **({"dump_program": dump} | asked)))

    return run


async def take_action(action: Action, engine: AsyncEngine, *words: str) -> int:
    """Runs an action of `migrate` in this process and answers its exit code."""
    await engine.dispose()
    parser = argparse.ArgumentParser()
    action.add_arguments(parser)
    return await action.run(parser.parse_args(words), SCHEMA, engine)


@pytest.fixture
def command(delivery_url: str, dump: Path) -> Command:
    """Runs `migrate …` on the database, as a process; keyword arguments are variables of its environment."""

    async def run(*words: str, **environment: str) -> Done:
        # What the test itself left connected looks like somebody who uses the database.
        return await migrate(delivery_url, *words, "--dump-program", str(dump), **environment)

    return run
