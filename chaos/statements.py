"""A way to a database that knows the statements that go over it, and lets one of them fail.

Service, driver and engine are as ever: instead of a statement the engine is sent one that ends with the error, or the
connection is reset before the statement arrives, or once the engine has answered it.
"""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.proxy import detour


class Fault(Enum):
    """How a statement fails."""

    DEADLOCK = "deadlock"
    LOCK_WAIT = "lock wait"
    OVERTAKEN = "serialization failure"
    LOST_BEFORE = "connection lost before a statement"
    LOST_AFTER = "connection lost after a statement"

    @property
    def of_engine(self) -> bool:
        """Whether the engine says so; else the connection goes."""
        return self not in (Fault.LOST_BEFORE, Fault.LOST_AFTER)


_NO_LOCKS = re.compile(
    r"\s*(BEGIN|COMMIT|ROLLBACK|SET |SHOW |;|SELECT(?!.*(FOR UPDATE|LOCK)))", re.DOTALL | re.IGNORECASE
)
"""What begins so takes no lock, and fails with its connection only."""


class Wire(ABC):
    """The requests of one connection, as its engine's protocol has them."""

    @abstractmethod
    async def read(self, reader: asyncio.StreamReader) -> tuple[bytes, Sequence[str]]:
        """The next request, and the statements in it."""

    @abstractmethod
    def request(self, statements: Sequence[str]) -> bytes:
        """A request of these statements."""

    @abstractmethod
    def refused(self, fault: Fault) -> str:
        """A statement that ends with the error."""


class MySQLWire(Wire):
    """MySQL's and MariaDB's: several statements of one request stand on lines of their own."""

    def __init__(self, engine: str) -> None:
        self._numbers = {
            Fault.DEADLOCK: 1213,
            Fault.LOCK_WAIT: 1205,
            Fault.OVERTAKEN: 3572 if engine == "mysql" else 1020,
        }

    async def read(self, reader: asyncio.StreamReader) -> tuple[bytes, Sequence[str]]:
        head = await reader.readexactly(4)
        body = await reader.readexactly(int.from_bytes(head[:3], "little"))
        # The first packet of a request, and the command that carries statements.
        carries = head[3] == 0 and body[:1] == b"\x03"
        return head + body, body[1:].decode(errors="replace").split(";\n") if carries else ()

    def request(self, statements: Sequence[str]) -> bytes:
        body = b"\x03" + ";\n".join(statements).encode()
        return len(body).to_bytes(3, "little") + b"\0" + body

    def refused(self, fault: Fault) -> str:
        return f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {self._numbers[fault]}"


class PostgresWire(Wire):
    """Postgres': messages up to a Sync are a request of one statement, which may have been given a name before."""

    def __init__(self) -> None:
        self._states = {Fault.DEADLOCK: "40P01", Fault.LOCK_WAIT: "55P03", Fault.OVERTAKEN: "40001"}
        self._begun = False
        self._named: dict[bytes, str] = {}

    async def read(self, reader: asyncio.StreamReader) -> tuple[bytes, Sequence[str]]:
        request, statement = b"", ""
        while True:
            # The first message of a connection has no kind.
            kind = await reader.readexactly(1) if self._begun else b""
            self._begun = True
            length = await reader.readexactly(4)
            body = await reader.readexactly(int.from_bytes(length, "big") - 4)
            request += kind + length + body
            if kind == b"P":
                name, text, _ = body.split(b"\0", 2)
                statement = self._named[name] = text.decode()
            elif kind == b"B":
                statement = self._named.get(body.split(b"\0", 2)[1], "")
            elif kind == b"Q":
                return request, [body[:-1].decode()]
            elif kind == b"S":
                return request, [statement] if statement else ()
            elif kind not in (b"D", b"E", b"C"):
                return request, ()

    def request(self, statements: Sequence[str]) -> bytes:
        body = "".join(statements).encode() + b"\0"
        return b"Q" + (len(body) + 4).to_bytes(4, "big") + body

    def refused(self, fault: Fault) -> str:
        return f"DO $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '{self._states[fault]}'; END $$"


class _Answers:
    """What the engine sends back over one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.lost = False
        """Whether the next one is not passed on, and nothing after it."""

    async def pass_on(self) -> None:
        """Until either side ends it, or the first that is lost."""
        with suppress(OSError):
            while (data := await self._reader.read(65536)) and not self.lost:
                self._writer.write(data)
                await self._writer.drain()
        self._writer.transport.abort()


class Statements:
    """Passes everything on, but for one statement when it is told so."""

    def __init__(self, engine: str, server: Path) -> None:
        self._engine = engine
        self._server = server
        self._fault = Fault.DEADLOCK
        self._left = 0
        self._failed = ""
        self._open: set[asyncio.StreamWriter] = set()

    def fail(self, nth: int, fault: Fault) -> None:
        """Lets the nth statement from now on fail, whichever connection it comes on."""
        self._left, self._fault, self._failed = nth, fault, ""

    def relent(self) -> str:
        """Lets nothing fail any more; answers the statement that failed, "" if none came so far."""
        self._left = 0
        return self._failed

    def cut(self) -> None:
        """Resets every connection."""
        for writer in list(self._open):
            writer.transport.abort()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carries one connection until either side ends it."""
        ends = {writer}
        try:
            there, requests = await asyncio.open_unix_connection(self._server)
            ends.add(requests)
            self._open |= ends
            answers = _Answers(there, writer)
            async with asyncio.TaskGroup() as both:
                passing = both.create_task(answers.pass_on())
                await self._pass_on(reader, requests, answers, passing)
                requests.transport.abort()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        requests: asyncio.StreamWriter,
        answers: _Answers,
        passing: asyncio.Task[None],
    ) -> None:
        """Requests, until the connection is to be lost or the caller ends it."""
        wire = PostgresWire() if self._engine == "postgres" else MySQLWire(self._engine)
        while True:
            try:
                message, statements = await wire.read(reader)
            except (OSError, asyncio.IncompleteReadError):
                return
            place = self._failing(statements)
            if place is not None and self._fault.of_engine:
                message = wire.request([*statements[:place], wire.refused(self._fault)])
            elif place is not None and self._fault is Fault.LOST_BEFORE:
                return
            answers.lost = place is not None and self._fault is Fault.LOST_AFTER
            requests.write(message)
            if answers.lost:
                await passing
                return

    def _failing(self, statements: Sequence[str]) -> int | None:
        """The place of the one that is to fail, if it is among these."""
        for place, statement in enumerate(statements):
            spared = self._fault.of_engine and _NO_LOCKS.match(statement)
            if self._left and not spared:
                self._left -= 1
                if not self._left:
                    self._failed = " ".join(statement.split())
                    return place
        return None


@asynccontextmanager
async def statements_to(url: str, engine: str) -> AsyncIterator[tuple[str, Statements]]:
    """The URL of the same database by way of a socket of ours, and what lets its statements fail."""
    with TemporaryDirectory(prefix="hf-statements-") as folder:
        way = detour(url, Path(folder))
        statements = Statements(engine, way.server)
        server = await asyncio.start_unix_server(statements.accept, way.socket)
        try:
            yield way.url, statements
        finally:
            server.close()
            statements.cut()
