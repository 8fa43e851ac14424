"""Adoptions in this process, over databases of their own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service.adoption.adopt import adopt as adopt_database
from inventory_service.adoption.run import Request, Run
from servicekit.persistence.engines import create_engine
from servicekit.reports.findings import Findings
from servicekit.reports.progress import progress
from servicekit.schema.migrations import Progress, Schema
from tests.inventory_service.adoption.command import Command, migrate
from tests.support.forks import Done

Adopt = Callable[..., Awaitable[str]]
SCHEMA = Schema("inventory")


@pytest.fixture
async def engine(postgres_url: str) -> AsyncIterator[AsyncEngine]:
    """An empty database."""
    engine = create_engine(postgres_url, pool_size=5, for_migrations=True)
    yield engine
    await engine.dispose()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where backups go; not there yet."""
    return tmp_path / "backups"


async def run_adoption(engine: AsyncEngine, request: Request, progress: Progress = progress) -> str:
    """Runs an adoption and answers what it told."""
    told: list[str] = []
    stops, oddities = Findings(request.folder / "adoption.txt"), Findings(request.folder / "oddities.txt")
    await adopt_database(Run(engine, SCHEMA, request, told.append, progress, stops, oddities))
    return "\n".join(told)


@pytest.fixture
def adopt(engine: AsyncEngine, folder: Path) -> Adopt:
    """Runs an adoption and answers what it told; keyword arguments are those of its Request."""

    async def run(**asked: Any) -> str:
        return await run_adoption(engine, Request(folder=folder, **asked))

    return run


@pytest.fixture
def command(engine: AsyncEngine, postgres_url: str) -> Command:
    """Runs `migrate …` on the database, as a process; keyword arguments are variables of its environment."""

    async def run(*words: str, **environment: str) -> Done:
        await engine.dispose()  # sessions that a restore would take for those of a service
        return await migrate(postgres_url, *words, **environment)

    return run
