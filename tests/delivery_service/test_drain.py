"""A server that is told to stop answers those who only wait, at once, ends what is under way, leaves the rest."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import pytest
from holdfast.delivery.v1 import evidence_pb2
from holdfast.delivery.v1 import package_pb2 as pb
from holdfast.ops.v1 import ops_pb2
from holdfast.ops.v1.ops_pb2_grpc import OpsServiceStub
from sqlalchemy import select

from delivery_service import bootstrap
from delivery_service.persistence.outbox import DONE
from delivery_service.persistence.tables import outbox
from delivery_service.settings import Settings
from servicekit.persistence.engines import create_engine
from servicekit.process.server import Server
from servicekit.schema.migrations import Schema
from tests.delivery_service.client import MERCHANT, Delivery, eventually
from tests.delivery_service.fake_inventory import FakeInventory
from tests.support.refusals import refused

Start = Callable[[], Awaitable[tuple[Server, Delivery, grpc.aio.Channel]]]


@pytest.fixture
def inventory() -> FakeInventory:
    """Survives the servers that call it."""
    return FakeInventory()


@pytest.fixture
async def start(mysql_url: str, tmp_path: Path, inventory: FakeInventory) -> Start:
    """Starts one server after the other on the same database."""
    migrating = create_engine(mysql_url, pool_size=2, for_migrations=True)
    await Schema("delivery").upgrade(migrating)
    await migrating.dispose()
    settings = Settings(
        database_url=mysql_url,
        inventory_address="unused:1",
        evidence_url=str(tmp_path),
        listen="127.0.0.1:0",
        relay_seconds=0.1,
        drain_pause_seconds=0,
    )

    async def start() -> tuple[Server, Delivery, grpc.aio.Channel]:
        engine = create_engine(mysql_url)
        server = Server(bootstrap.assemble(settings, engine, inventory))
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{await server.start()}")
        return server, Delivery(channel, engine, inventory), channel

    return start


async def test_a_drain_wakes_whoever_waits_for_inventory_and_the_next_server_settles_it(
    start: Start, inventory: FakeInventory
) -> None:
    inventory.down = True
    first, delivery, channel = await start()
    order = await delivery.order({"A": 1})
    creating = asyncio.create_task(delivery.create("DRIVER_TO_USER", [order], package_sn="P"))

    async def asked() -> bool:
        return bool(inventory.calls)

    await eventually(asked)
    began = time.monotonic()
    assert await first.stop()
    package = await creating

    assert package.stock_state == pb.STOCK_STATE_REQUESTED
    assert time.monotonic() - began < 1.5
    await channel.close()
    inventory.down = False
    second, delivery, channel = await start()
    await delivery.stock_state("P", "HELD")
    await channel.close()
    assert await second.stop()


async def test_an_answer_that_is_under_way_is_waited_for_and_recorded(
    start: Start, inventory: FakeInventory
) -> None:
    entered = asyncio.Event()

    async def slow() -> None:
        entered.set()
        await asyncio.sleep(0.5)

    inventory.before_answer = slow
    first, delivery, channel = await start()
    order = await delivery.order({"A": 1})
    creating = asyncio.create_task(delivery.create("DRIVER_TO_USER", [order], package_sn="P"))
    await entered.wait()

    assert await first.stop()
    await creating
    await channel.close()

    async with delivery.engine.connect() as connection:
        assert list((await connection.execute(select(outbox.c.state))).scalars()) == [DONE]
    await delivery.engine.dispose()


async def test_a_check_that_waits_for_the_database_ends_with_draining(start: Start) -> None:
    server, delivery, channel = await start()
    async with delivery.engine.connect() as other:
        await other.exec_driver_sql("LOCK TABLES tigu_prepare_goods WRITE")
        call = OpsServiceStub(channel).CheckConsistency(
            ops_pb2.CheckConsistencyRequest(checks=["mapping"]), timeout=60
        )
        read = asyncio.create_task(refused(anext(aiter(call))))
        await asyncio.sleep(0.5)
        assert not read.done()
        began = time.monotonic()
        stopping = asyncio.create_task(server.stop())

        refusal = await read

        # The engine itself would end the wait after 5 s.
        assert time.monotonic() - began < 2
        await other.exec_driver_sql("UNLOCK TABLES")
    assert (refusal.code, refusal.reason, refusal.retry) == (grpc.StatusCode.UNAVAILABLE, "DRAINING", True)
    assert await stopping
    await channel.close()


async def test_an_upload_that_stands_still_ends_with_draining_and_leaves_nothing(
    start: Start, tmp_path: Path
) -> None:
    server, delivery, channel = await start()
    order = await delivery.order({"A": 1})
    await delivery.create("DRIVER_TO_USER", [order], package_sn="P")
    header = evidence_pb2.EvidenceHeader(package_sn="P", kind=pb.EVIDENCE_KIND_PREPARATION)
    sent = asyncio.Event()

    async def messages() -> AsyncIterator[evidence_pb2.UploadEvidenceRequest]:
        yield evidence_pb2.UploadEvidenceRequest(header=header)
        yield evidence_pb2.UploadEvidenceRequest(chunk=b"\xff\xd8\xff")
        sent.set()
        await asyncio.sleep(60)

    uploading = delivery.stub.UploadEvidence(messages(), metadata=MERCHANT, timeout=60)
    await sent.wait()
    await asyncio.sleep(0.2)
    began = time.monotonic()

    assert await server.stop()

    refusal = await refused(uploading)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert time.monotonic() - began < 5
    assert await asyncio.to_thread(files, tmp_path) == []
    await channel.close()
    await delivery.engine.dispose()


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
