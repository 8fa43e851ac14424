"""The client in Python: a process of its own that stays, so that a turn costs neither imports nor connections.

It reads one wish a line from stdin, as JSON, and answers with one line.
"""

import asyncio
import gc
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from benchmarks.bench import create_forms, delivery_steps, inventory_steps
from benchmarks.bench.loops import arriving, closed
from benchmarks.bench.processes import ROOT
from benchmarks.bench.results import Load, Void

KINDS = {**inventory_steps.KINDS, **delivery_steps.KINDS, **create_forms.KINDS}
MOST_WAITING_SECONDS = 900.0


class Caller:
    """The process, seen from the one that measures."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Whose memory is the client's."""
        return self._process.pid

    async def call(self, kind: str, **wish: Any) -> Load:
        """One turn. Raises Void where a call was not answered OK."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"kind": kind, **wish}).encode() + b"\n")
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), MOST_WAITING_SECONDS)
        except TimeoutError as error:
            # What it answers later would be taken for the next turn's.
            self._process.kill()
            raise Void(f"{kind}: not answered within {MOST_WAITING_SECONDS:g} s") from error
        answer = json.loads(line or '{"error": "the client ended"}')
        if "error" in answer:
            raise Void(f"{kind}: {answer['error']}")
        return Load(**answer)


@asynccontextmanager
async def caller() -> AsyncIterator[Caller]:
    """A client that ends with the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.bench.caller"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "GRPC_VERBOSITY": "NONE"},
    )
    try:
        yield Caller(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def _answer(wish: Mapping[str, Any]) -> Load:
    async with KINDS[wish["kind"]](wish) as step:
        if "rate" in wish:
            return await arriving(step, wish["rate"], wish["seconds"], wish["seed"])
        return await closed(step, wish["in_flight"], wish["seconds"])


async def _serve() -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        try:
            answer = asdict(await _answer(json.loads(line)))
        except Exception as error:  # whatever it is, the one who measures must know
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    # ^C is told to whoever measures, and ends this when that closes its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # As the servers do: a full collection stopped this process for 60 to 100 ms, and every answer that came meanwhile.
    gc.collect()
    gc.freeze()
    asyncio.run(_serve())
