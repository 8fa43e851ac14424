"""A program of an engine's at work: what it reads and prints goes through here piece by piece."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

_BUFFER = 1 << 20


class Running:
    """A program at work; what it complains of is read meanwhile, so that it never waits for us."""

    def __init__(self, process: asyncio.subprocess.Process, complaints: asyncio.Task[bytes]) -> None:
        self._process = process
        self._complaints = complaints

    @property
    def output(self) -> asyncio.StreamReader:
        """What it prints."""
        assert self._process.stdout is not None
        return self._process.stdout

    async def feed(self, chunk: bytes) -> bool:
        """Gives it more to read; false where it has stopped listening."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(chunk)
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    async def complaint(self) -> str:
        """Waits for its end; what it complained of where it failed, else nothing."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        code = await self._process.wait()
        said = (await self._complaints).decode(errors="replace").strip()
        return (said or f"it ended with code {code}") if code else ""


@asynccontextmanager
async def running(
    command: Sequence[str], environment: Mapping[str, str] | None = None, *, fed: bool = False
) -> AsyncIterator[Running]:
    """Starts a program, which is `fed` or read, in this process' environment or another.

    It is ended where the caller goes before its end. Raises OSError where there is none.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE if fed else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL if fed else asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_BUFFER,
        env=environment,
    )
    assert process.stderr is not None
    try:
        yield Running(process, asyncio.create_task(process.stderr.read()))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
