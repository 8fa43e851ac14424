"""A place where reservations are made: a database, and so many bench servers over it."""

import socket
import struct
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import Int64Value
from sqlalchemy import make_url

from benchmarks.bench import server
from benchmarks.bench.books import Books
from benchmarks.bench.processes import Served
from benchmarks.database import database
from servicekit.persistence.engines import create_engine
from servicekit.schema.migrations import Schema
from tests.support.services import free_port

RESERVE = "/holdfast.inventory.v1.InventoryService/ReserveStock"
OF_RESERVATIONS = ("ledger", "holds", "lines", "alerts")
MOST_STOCKS_A_TURN = 10_000
STREAM = "/holdfast.inventory.v1.InventoryService/ReserveStockStream"


class BenchServer(Served):
    """The inventory service with the methods of `benchmarks.bench.server` beside its own."""

    def __init__(self, url: str, stocks: int, log: Path) -> None:
        self.bare_port = free_port()
        settings = {
            "INVENTORY_DATABASE_URL": url,
            server.STOCKS: str(stocks),
            server.BARE_PORT: str(self.bare_port),
        }
        super().__init__(server.__name__, "INVENTORY", settings, log)

    def url(self, path: str) -> str:
        """Of a method, for clients of HTTP/2."""
        return f"http://{self.address}{path}"

    def method(self, name: str, *, bare: bool = False) -> str:
        """The URL of a method of the bench; `bare` is without interceptors."""
        address = f"127.0.0.1:{self.bare_port}" if bare else self.address
        return f"http://{address}/{server.SERVICE}/{name}"


@dataclass(frozen=True)
class Site:
    """Servers that serve, over books that agree with the ledger."""

    url: str
    books: Books
    servers: Sequence[BenchServer]

    @property
    def address(self) -> str:
        """The first server's."""
        return self.servers[0].address

    @property
    def pids(self) -> list[int]:
        """Of the servers that run."""
        return [process.pid for process in self.servers if process.running]

    @property
    def running(self) -> BenchServer:
        """One that runs."""
        return next(process for process in self.servers if process.running)

    async def check_turn(self) -> None:
        """What a turn of reservations could have spoilt; too much for each turn where stocks are many. Raises Void."""
        if self.books.stocks <= MOST_STOCKS_A_TURN:
            await self.running.require_consistency(*OF_RESERVATIONS)

    async def check_all(self) -> None:
        """Everything that CheckConsistency can find. Raises Void."""
        await self.running.require_consistency()

    async def empties(self) -> int:
        """How many empty calls the first server has answered."""
        async with self.servers[0].channel() as channel:
            answered = channel.unary_unary(
                f"/{server.SERVICE}/Answered",
                request_serializer=Empty.SerializeToString,
                response_deserializer=Int64Value.FromString,
            )
            return int((await answered(Empty())).value)


@asynccontextmanager
async def site(postgres: str, stocks: int, *, servers: int = 1, change: str = "") -> AsyncIterator[Site]:
    """A fresh one; `change` is a statement that alters its schema."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hf-site-")))
        url = await stack.enter_async_context(database(postgres))
        engine = create_engine(url, pool_size=2, for_migrations=True)
        stack.push_async_callback(engine.dispose)
        await Schema("inventory").upgrade(engine)
        books = Books(engine, stocks)
        await books.seed()
        if change:
            await books.execute(change)
        processes = [BenchServer(url, stocks, folder / f"{number}.log") for number in range(servers)]
        for process in processes:
            stack.push_async_callback(process.kill)
            await process.start()
        yield Site(url, books, processes)


def server_pid(url: str) -> int | None:
    """The process that listens on the unix socket of a database's URL; None for one that is reached otherwise."""
    query = make_url(url).query
    path = query.get("unix_socket") or (f"{query['host']}/.s.PGSQL.5432" if "host" in query else None)
    if path is None:
        return None
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, _, _ = struct.unpack("3i", credentials)
    return int(pid)
