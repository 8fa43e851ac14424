"""A server of this process, on a database that is migrated."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from inventory_service import bootstrap
from inventory_service.settings import Settings
from servicekit.process.server import Server
from tests.support.forks import run_command

ASLEEP: dict[str, Any] = {"sweep_seconds": 86_400, "facts_seconds": 86_400, "metrics_refresh_seconds": 0}
"""Settings with which workers look once, at the start: a test sees what the calls themselves do."""


@asynccontextmanager
async def serving(url: str, **settings: Any) -> AsyncIterator[tuple[Server, str]]:
    """A server and its address; it is stopped at the end, if the test has not done so."""
    chosen: dict[str, Any] = {"listen": "127.0.0.1:0", "drain_pause_seconds": 0} | settings
    server = Server(bootstrap.build(Settings(database_url=url, **chosen)))
    try:
        yield server, f"127.0.0.1:{await server.start()}"
    finally:
        await server.stop()


@asynccontextmanager
async def channel_to(url: str, **settings: Any) -> AsyncIterator[tuple[Server, grpc.aio.Channel]]:
    """The same with a channel to it."""
    async with serving(url, **settings) as (server, address), grpc.aio.insecure_channel(address) as channel:
        yield server, channel


async def dies_at(url: str, place: str) -> str:
    """Serves as a process of its own whose workers meet a crash point; what it had logged until it died there."""
    settings = {"INVENTORY_DATABASE_URL": url, "INVENTORY_LISTEN": "127.0.0.1:0", "HOLDFAST_CRASH_AT": place}
    async with asyncio.timeout(60):
        died = await run_command("inventory", "serve", **settings)
    assert died.code == 137, died.errors
    return died.errors
