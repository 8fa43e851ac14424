"""A peer's own program as a process: one JSON message a line to it, one JSON answer a line back."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.peers.packages import PeerUnavailable
from benchmarks.peers.sides import Outcome, Work

PROGRAMS = Path(__file__).parent / "programs"
START_SECONDS = 300.0
"""Until a program has made its schema and says that it is ready."""
PATIENCE_SECONDS = 60.0
"""Beyond the work itself, for whatever still waits for a lock when the time is over."""


class Program:
    """One process, and the file that it writes its errors to."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    async def begin(self) -> None:
        """Returns when it has made its schema. Raises PeerUnavailable, as all of them do."""
        await self.ask("begin", START_SECONDS)

    async def stock(self, skus: Sequence[str], quantity: int) -> None:
        """Makes stocks of so many units each."""
        await self.ask("stock", START_SECONDS, skus=skus, quantity=quantity)

    async def reserve(self, work: Work, how: str) -> Outcome:
        """Lets the callers work; `how` is the program's word for the way."""
        seconds = work.seconds + PATIENCE_SECONDS
        return Outcome(**await self.ask("reserve", seconds, how=how, **work.as_message()))

    async def ask(self, what: str, limit_seconds: float = PATIENCE_SECONDS, **values: object) -> Any:
        """Sends a message and waits for its answer. Raises PeerUnavailable with what the program said of its end."""
        message = {"do": what, **values}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            await self._process.stdin.drain()
            answer = await asyncio.wait_for(self._answer(), limit_seconds)
        except TimeoutError as failure:
            raise PeerUnavailable(f"{what}: no answer within {limit_seconds:.0f} s") from failure
        except ConnectionError as failure:
            raise PeerUnavailable(f"{what}: its process ended. {_last_words(self._log)}") from failure
        if "error" in answer:
            raise PeerUnavailable(f"{what}: {answer['error']}")
        return answer

    async def _answer(self) -> Any:
        assert self._process.stdout is not None
        if line := await self._process.stdout.readline():
            return json.loads(line)
        raise ConnectionResetError

    async def end(self) -> None:
        """Ends it at once."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def running(
    command: Sequence[str | Path], *, folder: Path, environment: Mapping[str, str], log: Path
) -> AsyncIterator[Program]:
    """Starts a program and ends it afterwards. Raises PeerUnavailable."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env=os.environ | environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=output,
        )
    program = Program(process, log)
    try:
        await program.begin()
        yield program
    finally:
        await program.end()


def _last_words(log: Path) -> str:
    return " ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
