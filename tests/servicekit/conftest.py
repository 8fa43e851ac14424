"""The kit on each engine that it supports."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.engines import create_engine
from servicekit.transactions import Transactions
from tests.servicekit.accounts import Accounts, open_accounts
from tests.support.databases import fresh_database


@pytest.fixture(params=["postgres", "mysql", "mariadb"])
def engine_name(request: pytest.FixtureRequest) -> str:
    """Each engine, by name."""
    name: str = request.param
    return name


@pytest.fixture
async def url(engine_name: str) -> AsyncIterator[str]:
    """An empty database on each engine."""
    async with fresh_database(engine_name) as database:
        yield database


@pytest.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    """The kit's engine upon a database with two accounts."""
    engine = create_engine(url)
    await open_accounts(engine)
    yield engine
    await engine.dispose()


@pytest.fixture
def transactions(engine: AsyncEngine) -> Transactions[Accounts]:
    """A runner over two accounts."""
    return Transactions(engine, Accounts)
