import asyncio
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
from holdfast.inventory.v1 import inventory_pb2_grpc, stock_pb2

from devtools import processes
from devtools.engines.run_user import unprivileged_user
from tests.client.shaky import Shaky, serving

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


def test_a_process_that_was_remembered_is_found_again_and_stopped(tmp_path: Path) -> None:
    processes.spawn(["sleep", "60"], log=tmp_path / "log").remember(tmp_path / "process.json")

    found = processes.recall(tmp_path / "process.json")

    assert found is not None
    found.stop()
    assert not found.alive
    assert processes.recall(tmp_path / "process.json") is None


def test_an_id_that_belongs_to_somebody_else_by_now_is_never_signalled(tmp_path: Path) -> None:
    stranger = processes.spawn(["sleep", "60"], log=tmp_path / "log")
    recycled = dataclasses.replace(stranger, started=stranger.started - 1)
    recycled.remember(tmp_path / "process.json")

    assert processes.recall(tmp_path / "process.json") is None
    recycled.stop(signal.SIGKILL)

    assert stranger.alive
    stranger.stop()


def test_a_process_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    deaf = processes.spawn([sys.executable, "-c", DEAF], log=tmp_path / "log")
    while "deaf" not in (tmp_path / "log").read_text():
        time.sleep(0.01)

    deaf.stop(patience_seconds=0.2)

    assert not deaf.alive


def test_a_process_that_only_waits_to_be_collected_is_not_alive(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        ["sh", "-c", "sleep 0.1 & echo $!; exec sleep 60"], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    child = processes.Process(pid, int(fields[19]))
    assert child.alive

    time.sleep(0.5)

    assert Path(f"/proc/{pid}").exists()
    assert not child.alive
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()


def test_a_command_in_the_foreground_is_told_by_its_exit_code() -> None:
    assert processes.run_here([sys.executable, "-c", "raise SystemExit(3)"]) == 3


async def test_what_runs_under_another_account_begins_beside_calls_over_grpc(tmp_path: Path) -> None:
    """For root only; of anybody else it runs under his own."""
    user = unprivileged_user()
    async with serving(Shaky()) as address, grpc.aio.insecure_channel(address) as channel:
        stub = inventory_pb2_grpc.InventoryServiceStub(channel)

        async def call() -> None:
            while True:
                await stub.CreateStock(stock_pb2.CreateStockRequest())

        calling = [asyncio.create_task(call()) for _ in range(4)]
        ran = [await asyncio.to_thread(processes.run, ["id", "-u"], {}, user=user) for _ in range(10)]
        begun = [
            await asyncio.to_thread(processes.spawn, ["sleep", "60"], log=tmp_path / "log", user=user)
            for _ in range(10)
        ]
        await asyncio.sleep(0.5)
        alive = [process.alive for process in begun]
        for process in begun:
            process.stop()
        for task in calling:
            task.cancel()
        await asyncio.gather(*calling, return_exceptions=True)

    assert {done.stdout for done in ran} == {f"{user.uid if user else os.geteuid()}\n"}
    assert alive == [True] * 10
