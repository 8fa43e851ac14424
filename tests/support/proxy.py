"""A proxy that misbehaves on demand, in front of a service or of a database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from sqlalchemy import make_url

Dial: TypeAlias = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class Proxy:
    """Passes bytes on until told otherwise."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.swallow_requests = False
        """While true, what the target is sent is thrown away."""
        self.swallow_replies = False
        """While true, what the target answers is thrown away."""
        self.swallowed_bytes = 0
        self.delay_seconds = 0.0
        """How long everything takes on its way, at least."""
        self.bytes_left: int | None = None
        """After so many more every connection is reset; None for no end."""
        self.refuse = False
        """While true, new connections are closed at once."""

    @property
    def address(self) -> str:
        """Where it listens."""
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    async def start(self, path: Path | None = None) -> None:
        """Listens on a free port, or on a socket of the file system."""
        if path is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        else:
            self._server = await asyncio.start_unix_server(self._accept, path)

    def hold(self) -> None:
        """Lets nothing through in either direction, until it is healed: nobody hears of an end."""
        self._flows.clear()

    def heal(self) -> None:
        """Passes bytes on as at first; connections that missed some are reset."""
        missed = self.swallow_requests or self.swallow_replies
        self.swallow_requests = self.swallow_replies = self.refuse = False
        self.delay_seconds, self.bytes_left = 0.0, None
        self._flows.set()
        if missed:
            self.cut()

    async def stop(self) -> None:
        """Ends the proxy and every connection through it."""
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Resets every connection."""
        for writer in list(self._connections):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            writer.transport.abort()
            return
        try:
            target_reader, target_writer = await self._dial()
        except OSError:
            writer.transport.abort()
            return
        self._connections |= {writer, target_writer}
        for source, sink, replies in ((reader, target_writer, False), (target_reader, writer, True)):
            task = asyncio.create_task(self._pass_on(source, sink, replies))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, replies: bool) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await self._flows.wait()
                await asyncio.sleep(self.delay_seconds)
                if self.swallow_replies if replies else self.swallow_requests:
                    self.swallowed_bytes += len(data)
                    continue
                if self.bytes_left is not None:
                    self.bytes_left -= len(data)
                    if self.bytes_left < 0:
                        self.cut()
                        break
                sink.write(data)
                await sink.drain()
        # Of an end nobody hears either, while nothing is let through.
        await self._flows.wait()
        sink.transport.abort()
        self._connections.discard(sink)


@asynccontextmanager
async def proxy_to(target: str) -> AsyncIterator[Proxy]:
    """A running proxy in front of a server."""
    host, _, port = target.rpartition(":")
    async with _running(Proxy(partial(asyncio.open_connection, host, int(port)))) as proxy:
        yield proxy


@asynccontextmanager
async def proxy_to_database(url: str) -> AsyncIterator[tuple[str, Proxy]]:
    """The URL of the same database by way of a proxy, and the proxy."""
    with TemporaryDirectory(prefix="hf-proxy-") as folder:
        way = detour(url, Path(folder))
        proxy = Proxy(partial(asyncio.open_unix_connection, way.server))
        async with _running(proxy, way.socket):
            yield way.url, proxy


@dataclass(frozen=True)
class Detour:
    """Where a database is behind a socket of ours: the server's own socket, ours, and the URL by way of ours."""

    server: Path
    socket: Path
    url: str


def detour(url: str, folder: Path) -> Detour:
    """The way to a database by a socket in a folder."""
    target = make_url(url)
    if target.get_backend_name() == "postgresql":
        name = ".s.PGSQL.5432"
        server = Path(str(target.query["host"])) / name
        through = target.update_query_dict({"host": str(folder)})
    else:
        name = "sql.sock"
        server = Path(str(target.query["unix_socket"]))
        through = target.update_query_dict({"unix_socket": str(folder / name)})
    return Detour(server, folder / name, through.render_as_string(hide_password=False))


@asynccontextmanager
async def _running(proxy: Proxy, path: Path | None = None) -> AsyncIterator[Proxy]:
    await proxy.start(path)
    try:
        yield proxy
    finally:
        await proxy.stop()
