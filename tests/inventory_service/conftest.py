"""A real inventory server on a real Postgres: migrated and started once a worker, emptied before each test."""

from collections.abc import AsyncIterator

import grpc
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service.persistence.tables import metadata
from servicekit.persistence.engines import create_engine
from servicekit.process.server import Server
from servicekit.schema.migrations import Schema
from tests.inventory_service.client import Inventory
from tests.inventory_service.serving import ASLEEP, channel_to
from tests.support.databases import fresh_database, truncate


@pytest.fixture(scope="session")
async def inventory_url() -> AsyncIterator[str]:
    """A migrated database of this worker."""
    async with fresh_database("postgres") as url:
        migrating = create_engine(url, pool_size=2, for_migrations=True)
        await Schema("inventory").upgrade(migrating)
        await migrating.dispose()
        yield url


@pytest.fixture(scope="session")
async def inventory_engine(inventory_url: str) -> AsyncIterator[AsyncEngine]:
    """The tests' own way into that database."""
    engine = create_engine(inventory_url, pool_size=3)
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
async def inventory_channel(inventory_url: str) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to a server whose workers sleep, so that a test sees what the calls themselves do."""
    async with channel_to(inventory_url, **ASLEEP) as (_, channel):
        yield channel


@pytest.fixture
async def inventory(
    inventory_channel: grpc.aio.Channel, inventory_engine: AsyncEngine
) -> AsyncIterator[Inventory]:
    """The service with empty books; after the test they must agree with themselves."""
    await truncate(inventory_engine, [table.fullname for table in metadata.sorted_tables])
    caller = Inventory(inventory_channel, inventory_engine)
    yield caller
    assert await caller.findings() == []


@pytest.fixture
async def past_months(inventory: Inventory) -> AsyncIterator[None]:
    """Partitions of the ledger for movements of March 2025 and early 2026, which no server makes ahead."""
    months = [(2025, 3), *((2026, month) for month in (2, 3, 4, 5))]
    tables = [f"inventory.stock_movement_{year}_{month:02}" for year, month in months]
    async with inventory.engine.begin() as connection:
        for table, (year, month) in zip(tables, months, strict=True):
            await connection.exec_driver_sql(
                f"CREATE TABLE {table} PARTITION OF inventory.stock_movement"
                f" FOR VALUES FROM ('{year}-{month}-01 00:00Z') TO ('{year}-{month + 1}-01 00:00Z')"
            )
    yield
    try:
        assert await inventory.findings() == []
    finally:
        await truncate(inventory.engine, [table.fullname for table in metadata.sorted_tables])
        async with inventory.engine.begin() as connection:
            await connection.exec_driver_sql(f"DROP TABLE {', '.join(tables)}")


@pytest.fixture
async def pair(inventory: Inventory, inventory_url: str) -> AsyncIterator[tuple[Inventory, Inventory]]:
    """Two servers on one database, the second one sweeping all the time."""
    async with channel_to(inventory_url, sweep_seconds=0.02) as (_, channel):
        yield inventory, Inventory(channel, inventory.engine)


@pytest.fixture
async def second(inventory: Inventory, inventory_url: str) -> AsyncIterator[tuple[Server, Inventory]]:
    """A server that may be stopped, on the database of `inventory`, and its caller."""
    async with channel_to(inventory_url, sweep_seconds=86_400) as (server, channel):
        yield server, Inventory(channel, inventory.engine)
