"""A peer's own program as processes: one JSON message a line to each, one JSON answer a line back."""

import asyncio
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
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

    async def ask(self, message: Mapping[str, object], seconds: float) -> Any:
        """Sends a message and waits for its answer. Raises PeerUnavailable with what the program said of its end."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            await self._process.stdin.drain()
            answer = await asyncio.wait_for(self._answer(), seconds)
        except TimeoutError as failure:
            raise PeerUnavailable(f"{message['do']}: no answer within {seconds:.0f} s") from failure
        except ConnectionError as failure:
            raise PeerUnavailable(
                f"{message['do']}: its process ended. {_last_words(self._log)}"
            ) from failure
        if "error" in answer:
            raise PeerUnavailable(f"{message['do']}: {answer['error']}")
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


class Programs:
    """Several processes of one program that share the callers evenly."""

    def __init__(self, processes: Sequence[Program]) -> None:
        self._processes = processes

    async def stock(self, skus: Sequence[str], quantity: int) -> None:
        """Makes stocks of so many units each."""
        await self._processes[0].ask({"do": "stock", "skus": skus, "quantity": quantity}, START_SECONDS)

    async def ask(self, what: str, **values: object) -> Any:
        """Sends one process a message of its own kind."""
        return await self._processes[0].ask({"do": what, **values}, PATIENCE_SECONDS)

    async def reserve(self, work: Work, how: str) -> Outcome:
        """Lets the callers work in all processes at once; `how` is the program's word for the way."""
        share = replace(work, callers=work.callers // len(self._processes))
        message = {"do": "reserve", "how": how, **share.as_message()}
        answers = await asyncio.gather(
            *(process.ask(message, work.seconds + PATIENCE_SECONDS) for process in self._processes)
        )
        failures: Counter[str] = Counter()
        for answer in answers:
            failures.update(answer["failures"])
        return Outcome(
            accepted=sum(answer["accepted"] for answer in answers),
            refused=sum(answer["refused"] for answer in answers),
            failures=dict(failures),
            seconds=max(answer["seconds"] for answer in answers),
        )


@asynccontextmanager
async def running(
    command: Sequence[str | Path], *, folder: Path, environment: Mapping[str, str], copies: int, log: Path
) -> AsyncIterator[Programs]:
    """Starts a program so many times and ends it afterwards; the first makes what all of them need.

    Raises PeerUnavailable.
    """
    async with AsyncExitStack() as stack:
        programs = []
        for number in range(copies):
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
            stack.push_async_callback(program.end)
            await program.ask({"do": "begin", "migrate": number == 0}, START_SECONDS)
            programs.append(program)
        yield Programs(programs)


def _last_words(log: Path) -> str:
    return " ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
