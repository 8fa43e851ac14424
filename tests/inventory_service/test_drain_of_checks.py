"""A server that is told to stop ends a check of the operators with words, wherever that waits."""

import asyncio
import time

import grpc
from holdfast.ops.v1 import ops_pb2
from sqlalchemy import text

from inventory_service import bootstrap
from inventory_service.settings import Settings
from servicekit.server import Server
from tests.inventory_service.client import Inventory, refused

BLOCKED = text(
    "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'inventory.stock'::regclass)"
)


async def test_a_check_that_waits_for_the_database_ends_with_draining(
    inventory: Inventory, inventory_url: str
) -> None:
    await inventory.create("A", 1)
    server = Server(
        bootstrap.build(Settings(database_url=inventory_url, listen="127.0.0.1:0", drain_pause_seconds=0))
    )
    async with grpc.aio.insecure_channel(f"127.0.0.1:{await server.start()}") as channel:
        async with inventory.engine.begin() as other:
            await other.execute(text("LOCK TABLE inventory.stock IN ACCESS EXCLUSIVE MODE"))
            call = Inventory(channel, inventory.engine).ops.CheckConsistency(
                ops_pb2.CheckConsistencyRequest(checks=["holds"]), timeout=60
            )
            read = asyncio.create_task(refused(anext(aiter(call))))
            await _blocked(inventory)
            began = time.monotonic()
            stopping = asyncio.create_task(server.stop())

            refusal = await read

            # The engine itself would end the wait after 2 s.
            assert time.monotonic() - began < 1
            assert (refusal.code, refusal.reason, refusal.retry) == (
                grpc.StatusCode.UNAVAILABLE,
                "DRAINING",
                True,
            )
        assert await stopping


async def _blocked(inventory: Inventory) -> None:
    """Returns once a session waits for a lock."""
    async with asyncio.timeout(5), inventory.engine.connect() as connection:
        while not (await connection.execute(BLOCKED)).scalar():  # noqa: ASYNC110 - asked of the database
            await asyncio.sleep(0.02)
