"""`serve` as a process: what SIGTERM does to it."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from holdfast.ops.v1 import ops_pb2 as pb
from holdfast.ops.v1 import ops_pb2_grpc

from tests.servicekit.accounts import balances, open_accounts
from tests.servicekit.scripts import write_history
from tests.servicekit.shop import build

ROOT = Path(__file__).parents[3]

HANGING = """
import asyncio, os, sys, time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from servicekit.process import command_line
from servicekit.settings import DatabaseSettings
from tests.servicekit.shop import build

async def deaf():
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

def hanging(settings):
    if what == "thread":
        ThreadPoolExecutor(1).submit(time.sleep, 60)
    else:
        left.append(asyncio.get_running_loop().create_task(deaf()))
    return build(url, Path(scripts))[0]

left = []
_, what, url, scripts = sys.argv
sys.argv = ["shop", "serve"]
os.environ["SHOP_DATABASE_URL"] = url
sys.exit(command_line.run("shop", DatabaseSettings, DatabaseSettings, hanging))
"""


@asynccontextmanager
async def process(
    url: str, scripts: Path, command: Sequence[str] = ("-m", "tests.servicekit.shop")
) -> AsyncIterator[tuple[asyncio.subprocess.Process, grpc.aio.Channel]]:
    service, _ = build(url, write_history(scripts))
    await service.schema.upgrade(service.engine)
    await open_accounts(service.engine)
    await service.engine.dispose()
    serving = await asyncio.create_subprocess_exec(
        sys.executable, *command, url, str(scripts), cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{await _port(serving)}") as channel:
            yield serving, channel
    finally:
        if serving.returncode is None:
            serving.kill()
        await serving.wait()


async def _port(serving: asyncio.subprocess.Process) -> int:
    assert serving.stderr is not None
    async with asyncio.timeout(20):
        async for line in serving.stderr:
            record = json.loads(line)
            if record["event"] == "listening":
                return int(record["port"])
    raise AssertionError("the process ended before it listened")


async def begun(stub: Any, note: str) -> "asyncio.Future[Any]":
    """A mutation that is under way in the process."""
    call: asyncio.Future[Any] = asyncio.ensure_future(
        stub.RequeueOutbox(pb.RequeueOutboxRequest(note=note), timeout=9)
    )
    await stub.GetServerInfo(pb.GetServerInfoRequest(), timeout=5)
    await asyncio.sleep(0.2)
    return call


async def test_sigterm_lets_the_work_under_way_end_and_exits_with_0(
    postgres_url: str, tmp_path: Path
) -> None:
    async with process(postgres_url, tmp_path / "shop") as (serving, channel):
        call = await begun(ops_pb2_grpc.OpsServiceStub(channel), "0.5")
        serving.send_signal(signal.SIGTERM)

        assert await call == pb.RequeueOutboxResponse()
        assert await asyncio.wait_for(serving.wait(), 10) == 0
    assert await balances(postgres_url) == [101, 100]


@pytest.mark.parametrize("what", ["thread", "task"])
async def test_what_hangs_keeps_no_process(postgres_url: str, tmp_path: Path, what: str) -> None:
    async with process(postgres_url, tmp_path / "shop", ["-c", HANGING, what]) as (serving, _):
        serving.send_signal(signal.SIGTERM)

        assert await asyncio.wait_for(serving.wait(), 10) == 0


async def test_a_second_sigterm_ends_the_process_at_once(postgres_url: str, tmp_path: Path) -> None:
    async with process(postgres_url, tmp_path / "shop") as (serving, channel):
        call = await begun(ops_pb2_grpc.OpsServiceStub(channel), "8")
        serving.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        serving.send_signal(signal.SIGTERM)

        assert await asyncio.wait_for(serving.wait(), 2) == -signal.SIGTERM
        with pytest.raises(grpc.aio.AioRpcError) as cut:
            await call
        assert cut.value.code() is grpc.StatusCode.UNAVAILABLE
    assert await balances(postgres_url) == [100, 100]
