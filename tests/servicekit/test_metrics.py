"""What Prometheus reads of a running service."""

import asyncio
import urllib.request
from pathlib import Path

import grpc
import pytest
from holdfast.ops.v1 import ops_pb2 as pb
from holdfast.ops.v1 import ops_pb2_grpc

from servicekit.engines import create_engine
from servicekit.listeners import CannotListen
from servicekit.server import Server
from tests.servicekit.accounts import open_accounts
from tests.servicekit.scripts import write_history
from tests.servicekit.shop import build, open_shop
from tests.support.services import free_port

STATUS, CHECK = (f"/holdfast.ops.v1.OpsService/{name}" for name in ("GetMigrationStatus", "CheckConsistency"))


@pytest.fixture
async def scripts(postgres_url: str, tmp_path: Path) -> Path:
    """A history that a database with accounts is at the end of."""
    engine = create_engine(postgres_url)
    await open_accounts(engine)
    folder = write_history(tmp_path / "shop")
    service, _ = build(postgres_url, folder)
    await service.schema.upgrade(engine)
    await service.engine.dispose()
    await engine.dispose()
    return folder


def read(listen: str) -> dict[str, float]:
    with urllib.request.urlopen(f"http://{listen}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
    }


async def test_calls_are_counted_by_method_and_code_and_timed(postgres_url: str, scripts: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    service, _ = build(postgres_url, scripts, metrics_listen=listen)
    async with open_shop(service) as (_, _, channel):
        operators = ops_pb2_grpc.OpsServiceStub(channel)
        for _ in range(3):
            await operators.GetMigrationStatus(pb.GetMigrationStatusRequest(), timeout=5)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await operators.GetMigrationStatus(
                pb.GetMigrationStatusRequest(), metadata=(("actor-role", "pirate"),), timeout=5
            )
        async for _ in operators.CheckConsistency(pb.CheckConsistencyRequest(), timeout=5):
            pass
        counted = await asyncio.to_thread(read, listen)

    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    calls = {name: value for name, value in counted.items() if name.startswith("holdfast_calls_total")}
    assert calls == {
        f'holdfast_calls_total{{code="OK",method="{STATUS}"}}': 3,
        f'holdfast_calls_total{{code="UNAUTHENTICATED",method="{STATUS}"}}': 1,
        f'holdfast_calls_total{{code="OK",method="{CHECK}"}}': 1,
    }
    assert counted[f'holdfast_call_seconds_count{{method="{STATUS}"}}'] == 4
    assert 0 < counted[f'holdfast_call_seconds_sum{{method="{STATUS}"}}'] < 20
    assert counted["process_resident_memory_bytes"] > 1e6


async def test_a_service_that_stopped_gives_the_port_back(postgres_url: str, scripts: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    for _ in range(2):
        service, _ = build(postgres_url, scripts, metrics_listen=listen)
        async with open_shop(service):
            assert await asyncio.to_thread(read, listen)


async def test_a_port_that_is_taken_is_refused(postgres_url: str, scripts: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"
    first, _ = build(postgres_url, scripts, metrics_listen=listen)
    async with open_shop(first):
        second, _ = build(postgres_url, scripts, metrics_listen=listen)
        with pytest.raises(CannotListen, match=listen):
            await Server(second).start()
        await second.engine.dispose()
