"""Units of work on the real engines, beside a running server's relay that finds nothing to do."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from servicekit.schema.migrations import Schema
from tests.support.databases import fresh_database


@pytest.fixture(scope="module", params=["mysql", "mariadb"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[AsyncEngine]:
    """An engine on a migrated database that no server uses."""
    async with fresh_database(request.param) as url:
        migrating = create_engine(url, pool_size=2, for_migrations=True)
        await Schema("delivery").upgrade(migrating)
        await migrating.dispose()
        engine = create_engine(url, pool_size=20)
        yield engine
        await engine.dispose()


@pytest.fixture
def transactions(engine: AsyncEngine) -> Transactions[SqlUnitOfWork]:
    """A runner of transactions on that database."""
    return Transactions(engine, SqlUnitOfWork, at_once=20)
