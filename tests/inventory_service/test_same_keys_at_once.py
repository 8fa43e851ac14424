"""Four server processes, every key sent twice at once: whoever has a key in hand never fails its neighbours."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest
from holdfast.inventory.v1 import reservation_pb2 as pb
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.inventory_service.client import Inventory, outcome
from tests.support.services import ServiceProcess

SERVERS = 4
KEYS, COPIES = 200, 50 if os.environ.get("HOLDFAST_LONG_TESTS") else 2
STOCKS = ("A", "B", "C")


@pytest.fixture
async def servers(
    inventory: Inventory, inventory_url: str, tmp_path: Path
) -> AsyncIterator[list[tuple[ServiceProcess, Inventory]]]:
    """Processes over the books of `inventory`, each with a caller."""
    async with AsyncExitStack() as stack:
        processes = [
            ServiceProcess("inventory", {"INVENTORY_DATABASE_URL": inventory_url}, tmp_path / f"{number}.log")
            for number in range(SERVERS)
        ]
        for process in processes:
            stack.push_async_callback(process.kill)
        await asyncio.gather(*(process.start() for process in processes))
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(process.address))
            for process in processes
        ]
        yield [
            (process, Inventory(channel, inventory.engine))
            for process, channel in zip(processes, channels, strict=True)
        ]


@pytest.fixture(params=["at once", "slowly"])
async def committing(request: pytest.FixtureRequest, inventory: Inventory) -> AsyncIterator[None]:
    """The database, as it is or with a disk that keeps each batch for 50 ms more."""
    seconds = 0.05 if request.param == "slowly" else 0
    async with inventory.engine.begin() as connection:
        await connection.exec_driver_sql(
            "CREATE FUNCTION inventory.stall() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$"
        )
        await connection.exec_driver_sql(
            "CREATE TRIGGER stall AFTER INSERT ON inventory.reservation EXECUTE FUNCTION inventory.stall()"
        )
    yield
    async with inventory.engine.begin() as connection:
        await connection.exec_driver_sql("DROP FUNCTION inventory.stall CASCADE")


@pytest.mark.usefixtures("committing")
async def test_a_key_in_hand_elsewhere_fails_nobody(
    inventory: Inventory, servers: list[tuple[ServiceProcess, Inventory]]
) -> None:
    for sku in STOCKS:
        await inventory.create(sku, 10 * KEYS)

    async def reserve(key: int, copy: int) -> pb.Reservation:
        _, caller = servers[(key + copy) % SERVERS]
        quantities = {STOCKS[key % 3]: 1, STOCKS[(key + 1) % 3]: 2}
        # Half of them can be told by their request_id as well.
        return await caller.reserve(f"r{key}", quantities, request_id=f"q{key}" if key % 2 else "")

    over = asyncio.Event()
    watch = asyncio.create_task(lock_waits(inventory.engine, over))
    answers = await asyncio.gather(*(reserve(key, copy) for key in range(KEYS) for copy in range(COPIES)))
    over.set()
    changed = await asyncio.gather(
        *(outcome(servers[key % SERVERS][1].reserve(f"r{key}", {"A": 9})) for key in range(KEYS))
    )

    copies = [answers[key * COPIES : (key + 1) * COPIES] for key in range(KEYS)]
    assert all(answer == first for first, *others in copies for answer in others)
    assert "OK" not in changed
    assert sum([(await inventory.levels(sku))[1] for sku in STOCKS]) == 3 * KEYS
    assert await watch > 0, "nobody waited for anybody: the race was none"
    for process, _ in servers:
        assert "taken apart" not in process.log.read_text()


async def lock_waits(engine: AsyncEngine, over: asyncio.Event) -> int:
    """How often a session was seen waiting for a lock."""
    seen = 0
    query = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    while not over.is_set():
        async with engine.connect() as connection:
            seen += (await connection.execute(query)).scalar_one()
        await asyncio.sleep(0.002)
    return seen
