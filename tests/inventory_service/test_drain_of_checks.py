"""A server that is told to stop ends a check of the operators with words, wherever that waits."""

import asyncio
import time

import grpc
from holdfast.ops.v1 import ops_pb2
from sqlalchemy import text

from servicekit.process.server import Server
from tests.inventory_service.client import Inventory, refused

BLOCKED = text(
    "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database"
    " WHERE datname = current_database() AND relation = 'inventory.stock'::regclass AND NOT granted)"
)


async def test_a_check_that_waits_for_the_database_ends_with_draining(
    second: tuple[Server, Inventory],
) -> None:
    server, caller = second
    await caller.create("A", 1)
    async with caller.engine.begin() as other:
        await other.execute(text("LOCK TABLE inventory.stock IN ACCESS EXCLUSIVE MODE"))
        call = caller.ops.CheckConsistency(ops_pb2.CheckConsistencyRequest(checks=["holds"]), timeout=60)
        read = asyncio.create_task(refused(anext(aiter(call))))
        await _blocked(caller)
        began = time.monotonic()
        stopping = asyncio.create_task(server.stop())

        refusal = await read

        # The engine itself would end the wait after 2 s.
        assert time.monotonic() - began < 1
    assert (refusal.code, refusal.reason, refusal.retry) == (grpc.StatusCode.UNAVAILABLE, "DRAINING", True)
    assert await stopping


async def _blocked(caller: Inventory) -> None:
    """Returns once a session waits for a lock."""
    async with asyncio.timeout(5), caller.engine.connect() as connection:
        while not (await connection.execute(BLOCKED)).scalar():  # noqa: ASYNC110 - asked of the database
            await asyncio.sleep(0.02)
