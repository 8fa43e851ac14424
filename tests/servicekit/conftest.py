"""The kit on each engine that it supports."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from tests.servicekit.accounts import Accounts, open_accounts
from tests.support.databases import fresh_database


@pytest.fixture(params=["postgres", "mysql", "mariadb"])
def engine_name(request: pytest.FixtureRequest) -> str:
    """Each engine, by name."""
    name: str = request.param
    return name


@pytest.fixture
async def empty_url(engine_name: str) -> AsyncIterator[str]:
    """A fresh, empty database on each engine."""
    async with fresh_database(engine_name) as database:
        yield database


@pytest.fixture(scope="session")
async def bank() -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """One database of accounts for each engine, made when it is first asked for."""
    urls: dict[str, str] = {}
    async with AsyncExitStack() as databases:

        async def url_on(engine_name: str) -> str:
            if engine_name not in urls:
                urls[engine_name] = await databases.enter_async_context(fresh_database(engine_name))
            return urls[engine_name]

        yield url_on


@pytest.fixture
async def url(engine_name: str, bank: Callable[[str], Awaitable[str]]) -> str:
    """A database with nothing but two accounts on each engine."""
    url = await bank(engine_name)
    engine = create_engine(url, pool_size=1)
    await open_accounts(engine)
    await engine.dispose()
    return url


@pytest.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    """The kit's engine upon the accounts."""
    engine = create_engine(url)
    yield engine
    await engine.dispose()


@pytest.fixture
def transactions(engine: AsyncEngine) -> Transactions[Accounts]:
    """A runner over the accounts."""
    return Transactions(engine, Accounts)
