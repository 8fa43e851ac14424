"""Services as processes of their own, started as an operator would, so that CPU and memory are theirs alone."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from holdfast.ops.v1 import ops_pb2, ops_pb2_grpc

from benchmarks.bench.results import Void
from servicekit.process.health import check
from tests.support.services import free_port

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
CHECK_SECONDS = 600.0


class Served:
    """One service process on a port of its own."""

    def __init__(self, module: str, prefix: str, settings: Mapping[str, str], log: Path) -> None:
        """`prefix` is that of the service's variables, such as "INVENTORY"."""
        self.port = free_port()
        self._module = module
        self._settings = {
            **settings,
            f"{prefix}_LISTEN": f"127.0.0.1:{self.port}",
            f"{prefix}_DRAIN_PAUSE_SECONDS": "0",
        }
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Returns when it says SERVING. Raises Void where it does not."""
        self._launch()
        deadline = time.monotonic() + START_SECONDS
        while not await check(self.address):
            if not self.running or time.monotonic() > deadline:
                raise Void(f"{self._module} does not serve:\n{self._log.read_text()[-3000:]}")
            await asyncio.sleep(0.05)

    def _launch(self) -> None:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self._module, "serve"],
                cwd=ROOT,
                env={**os.environ, **self._settings},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    async def kill(self) -> None:
        """SIGKILL; returns when it has ended."""
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
        if self._process is not None:
            await asyncio.to_thread(self._process.wait)

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[grpc.aio.Channel]:
        """A channel to it."""
        async with grpc.aio.insecure_channel(self.address) as channel:
            yield channel

    async def findings(self, *checks: str) -> list[str]:
        """What its CheckConsistency finds; no checks are all of them. Raises Void where it does not come to its end."""
        async with self.channel() as channel:
            operators = ops_pb2_grpc.OpsServiceStub(channel)
            request = ops_pb2.CheckConsistencyRequest(checks=checks)
            answers = operators.CheckConsistency(request, timeout=CHECK_SECONDS)
            try:
                return [
                    f"{answer.finding.check} {answer.finding.subject}: {answer.finding.description}"
                    async for answer in answers
                ]
            except grpc.aio.AioRpcError as error:
                raise Void(f"CheckConsistency did not end: {error.code().name} {error.details()}") from error

    async def require_consistency(self, *checks: str) -> None:
        """Raises Void with whatever is found."""
        if found := await self.findings(*checks):
            raise Void(f"CheckConsistency finds {len(found)}: {'; '.join(found[:5])}")
