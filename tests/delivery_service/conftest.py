"""A real delivery server on each real engine: migrated and started once a worker, emptied before each test."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from sqlalchemy import delete, make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service import bootstrap
from delivery_service.persistence.tables import metadata
from delivery_service.settings import Settings
from servicekit.persistence.engines import create_engine
from servicekit.process.server import Server
from servicekit.schema.migrations import Schema
from tests.delivery_service.client import Delivery
from tests.delivery_service.fake_inventory import FakeInventory
from tests.support.databases import fresh_database


@dataclass(frozen=True)
class Running:
    """One server with what it runs on."""

    channel: grpc.aio.Channel
    engine: AsyncEngine
    inventory: FakeInventory
    photos: Path
    url: str


@pytest.fixture(scope="session", params=["mysql", "mariadb"])
async def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    """A server on a migrated database of this worker."""
    photos = tmp_path_factory.mktemp("photos")
    async with fresh_database(request.param) as url:
        migrating = create_engine(url, pool_size=2, for_migrations=True)
        await Schema("delivery").upgrade(migrating)
        await migrating.dispose()
        settings = Settings(
            database_url=url,
            inventory_address="unused",
            evidence_url=str(photos),
            listen="127.0.0.1:0",
            relay_seconds=0.1,
            # What tests write by hand is to be found as they wrote it.
            legacy_follow_seconds=0,
            drain_pause_seconds=0,
        )
        inventory = FakeInventory()
        server = Server(bootstrap.assemble(settings, create_engine(url), inventory))
        port = await server.start()
        tests = create_engine(url, pool_size=3)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Running(channel, tests, inventory, photos, url)
        assert await server.stop()
        await tests.dispose()


@pytest.fixture
async def limited(running: Running) -> AsyncIterator[AsyncEngine]:
    """A way into the database by an account that has no right beyond it."""
    own = make_url(running.url)
    account = f"t{own.database}"[:30]
    async with running.engine.connect() as connection:
        await connection.exec_driver_sql(f"CREATE USER '{account}' IDENTIFIED BY 'secret'")
        await connection.exec_driver_sql(f"GRANT ALL ON `{own.database}`.* TO '{account}'")
    url = own.set(username=account, password="secret")
    engine = create_engine(url.render_as_string(hide_password=False), pool_size=1)
    yield engine
    await engine.dispose()
    async with running.engine.connect() as connection:
        await connection.exec_driver_sql(f"DROP USER '{account}'")


@pytest.fixture
async def delivery(running: Running) -> AsyncIterator[Delivery]:
    """The service with empty tables, no photos and its people; after the test its records must agree."""
    running.inventory.empty()
    for file in running.photos.rglob("*"):
        if file.is_file():
            file.unlink(missing_ok=True)
    async with running.engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            if table.name != "tigu_prepare_goods":
                await connection.execute(delete(table))
        await connection.execute(delete(metadata.tables["tigu_prepare_goods"]))
    caller = Delivery(running.channel, running.engine, running.inventory)
    await caller.people()
    yield caller
    assert await caller.findings("mapping", "events") == []


@pytest.fixture
async def pair(delivery: Delivery, running: Running) -> AsyncIterator[tuple[Delivery, Delivery]]:
    """Two servers on one database, which know nothing of each other."""
    settings = Settings(
        database_url=running.url,
        inventory_address="unused",
        evidence_url=str(running.photos),
        listen="127.0.0.1:0",
        relay_seconds=0.1,
        legacy_follow_seconds=0,
        drain_pause_seconds=0,
    )
    server = Server(bootstrap.assemble(settings, create_engine(running.url), running.inventory))
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield delivery, Delivery(channel, running.engine, running.inventory)
    assert await server.stop()
