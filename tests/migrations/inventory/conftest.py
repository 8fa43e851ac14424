"""Databases at a revision."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.persistence.engines import create_engine
from tests.migrations.inventory.legacy import legacy_rows


@pytest.fixture
async def engine(postgres_url: str) -> AsyncIterator[AsyncEngine]:
    """An empty database."""
    engine = create_engine(postgres_url, pool_size=4, for_migrations=True)
    yield engine
    await engine.dispose()


@pytest.fixture
async def legacy(engine: AsyncEngine) -> AsyncEngine:
    """A database at 0001 with rows in it."""
    await legacy_rows(engine)
    return engine
