"""What a test does to the sessions of a database from outside: name one, end one, cut one while it commits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from tests.support.proxy import detour


async def session_id(connection: AsyncConnection) -> int:
    """The id by which the server knows this session."""
    postgres = connection.dialect.name == "postgresql"
    query = text("SELECT pg_backend_pid()") if postgres else text("SELECT CONNECTION_ID()")
    return int((await connection.execute(query)).scalar_one())


async def kill(url: str, session: int) -> None:
    """Ends a session as an administrator would."""
    killer = create_async_engine(url, isolation_level="AUTOCOMMIT")
    postgres = make_url(url).get_backend_name() == "postgresql"
    statement = text("SELECT pg_terminate_backend(:id)") if postgres else text("KILL :id")
    async with killer.connect() as connection:
        await connection.execute(statement, {"id": session})
    await killer.dispose()


class Wire:
    """The way between the service and its database; it can be cut at the next COMMIT."""

    def __init__(self, server: Path) -> None:
        self._server = server
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.cut_commit: str | None = None
        """"before" the server sees the next COMMIT, "after" it has answered it, or None."""
        self.refuse = False
        """While true, there is no way through."""
        self.hang = False
        """While true, sessions are taken and never answered."""
        self._sessions = 0
        self._silent = 0

    def silence(self) -> None:
        """From now on nothing that is sent over the sessions there are arrives, as where a firewall forgot them."""
        self._silent = self._sessions

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one session."""
        if self.refuse:
            writer.transport.abort()
            return
        if self.hang:
            self._writers.add(writer)
            return
        server_reader, server_writer = await asyncio.open_unix_connection(str(self._server))
        cutting = asyncio.Event()
        self._sessions += 1
        number = self._sessions
        self._writers |= {writer, server_writer}
        for task in (
            asyncio.create_task(self._ask(number, reader, server_writer, writer, cutting)),
            asyncio.create_task(self._answer(number, server_reader, writer, cutting)),
        ):
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _ask(
        self,
        number: int,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
        cutting: asyncio.Event,
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                # Postgres begins with BEGIN ISOLATION LEVEL READ COMMITTED.
                if b"COMMIT" in data and b"COMMITTED" not in data and self.cut_commit:
                    when, self.cut_commit = self.cut_commit, None
                    cutting.set()
                    if when == "before":
                        sink.transport.abort()
                        break
                if number > self._silent:
                    sink.write(data)
        back.transport.abort()

    async def _answer(
        self, number: int, source: asyncio.StreamReader, sink: asyncio.StreamWriter, cutting: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if cutting.is_set():
                    break
                if number > self._silent:
                    sink.write(data)
        sink.transport.abort()

    def cut(self) -> None:
        """Cuts every session."""
        for writer in self._writers:
            writer.transport.abort()

    async def close(self) -> None:
        """Cuts every session and ends."""
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def wire_to(url: str) -> AsyncIterator[tuple[str, Wire]]:
    """The URL of the same database by way of a wire, and the wire."""
    with TemporaryDirectory(prefix="hf-wire-") as folder:
        way = detour(url, Path(folder))
        wire = Wire(way.server)
        server = await asyncio.start_unix_server(wire.accept, way.socket)
        try:
            yield way.url, wire
        finally:
            server.close()
            await wire.close()
