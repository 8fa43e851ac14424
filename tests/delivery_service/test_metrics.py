"""Each of delivery's own figures, moved by what it counts, on both engines."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from delivery_service import bootstrap
from delivery_service.settings import Settings
from servicekit.persistence.engines import create_engine
from servicekit.process.server import Server
from tests.delivery_service.client import Delivery
from tests.delivery_service.conftest import Running
from tests.delivery_service.rpc.reconciling import execute
from tests.delivery_service.rpc.test_outbox import parked
from tests.support.scrapes import scraped
from tests.support.services import free_port

FREE = "holdfast_evidence_free_bytes"


@asynccontextmanager
async def observing(running: Running, evidence_url: str) -> AsyncIterator[str]:
    """Where Prometheus reads of one more server, which looks at itself all the time."""
    listen = f"127.0.0.1:{free_port()}"
    settings = Settings(
        database_url=running.url,
        inventory_address="unused",
        evidence_url=evidence_url,
        listen="127.0.0.1:0",
        metrics_listen=listen,
        diagnose_seconds=0.05,
        relay_seconds=0.1,
        legacy_follow_seconds=0,
        drain_pause_seconds=0,
    )
    server = Server(bootstrap.assemble(settings, create_engine(running.url), running.inventory))
    await server.start()
    yield listen
    assert await server.stop()


@pytest.fixture
async def listen(running: Running, delivery: Delivery) -> AsyncIterator[str]:
    """Where Prometheus reads, on the rows of `delivery`."""
    async with observing(running, str(running.photos)) as listen:
        yield listen


async def test_what_waits_for_inventory_is_counted_and_timed(delivery: Delivery, listen: str) -> None:
    none = await scraped(listen, lambda found: found.get("holdfast_outbox_waiting") == 0)
    delivery.inventory.down = True
    await asyncio.gather(*(delivery.create("DRIVER_TO_USER") for _ in range(2)))
    await execute(delivery, "UPDATE outbox SET create_time = create_time - INTERVAL 10 MINUTE")
    late = await scraped(listen, lambda found: found["holdfast_outbox_oldest_age_seconds"] >= 600)
    delivery.inventory.down = False
    await execute(delivery, "UPDATE outbox SET next_attempt_time = create_time WHERE state = 0")
    await delivery.quiet()
    after = await scraped(listen, lambda found: found["holdfast_outbox_waiting"] == 0)

    assert late["holdfast_outbox_waiting"] == 2
    assert late["holdfast_outbox_oldest_age_seconds"] < 660
    for found in (none, after):
        assert found["holdfast_outbox_oldest_age_seconds"] == 0


async def test_what_is_parked_is_counted(delivery: Delivery, listen: str) -> None:
    await scraped(listen, lambda found: found.get("holdfast_outbox_parked") == 0)
    await parked(delivery)
    await scraped(listen, lambda found: found["holdfast_outbox_parked"] == 1)
    # Its reserve, which was done, as if that had been refused too.
    await execute(delivery, "UPDATE outbox SET state = 3 WHERE state = 2")
    await scraped(listen, lambda found: found["holdfast_outbox_parked"] == 2)


async def test_the_connections_of_calls_are_told(delivery: Delivery, listen: str) -> None:
    found = await scraped(listen, lambda found: "holdfast_pool_waiting" in found)

    assert found["holdfast_pool_connections_max"] == 10
    assert 0 <= found["holdfast_pool_connections_in_use"] <= 10


async def test_the_room_for_photos_is_told(running: Running, delivery: Delivery, listen: str) -> None:
    found = await scraped(listen, lambda found: FREE in found)
    free = await asyncio.to_thread(lambda: shutil.disk_usage(running.photos).free)

    assert abs(found[FREE] - free) < 1 << 30


async def test_a_store_that_does_not_tell_its_room_has_no_figure(
    running: Running, delivery: Delivery
) -> None:
    async with observing(running, "memory://observed") as listen:
        found = await scraped(listen, lambda found: 'holdfast_diagnosis_severity{probe="evidence"}' in found)

    assert FREE not in found
