"""The service on an adopted database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service import bootstrap
from delivery_service.settings import Settings
from servicekit.persistence.engines import create_engine
from servicekit.process.server import Server
from tests.delivery_service.client import Delivery
from tests.delivery_service.fake_inventory import FakeInventory


@asynccontextmanager
async def served(url: str, engine: AsyncEngine, photos: Path) -> AsyncIterator[Delivery]:
    """A caller of the service, which has everything in stock that legacy items are numbered by."""
    settings = Settings(
        database_url=url,
        inventory_address="unused",
        evidence_url=str(photos),
        listen="127.0.0.1:0",
        relay_seconds=0.1,
        drain_pause_seconds=0,
    )
    inventory = FakeInventory()
    server = Server(bootstrap.assemble(settings, create_engine(url), inventory))
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Delivery(channel, engine, inventory)
    await server.stop()
