"""holdfast itself: a server as a process, as it is shipped, called over gRPC by a Python client of this process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import grpc
from holdfast.inventory.v1 import inventory_pb2_grpc, reservation_pb2, stock_pb2
from sqlalchemy import make_url

from benchmarks.bench.create_panel import migrated
from benchmarks.bench.processes import Served
from benchmarks.bench.statement_forms import SESSION
from benchmarks.database import database
from benchmarks.peers.sides import About, Books, Outcome, Refused, Tally, Work

LINES = 50
TIMEOUT_SECONDS = 10.0
AT_ONCE = 16

BOOKS = """
SELECT sum(quantity), sum(reserved_quantity), (
    SELECT coalesce(sum(line.quantity), 0) FROM inventory.reservation_line line
    JOIN inventory.reservation USING (reservation_id)
    WHERE state = 'HELD' AND line.stock_id IN (SELECT id FROM inventory.stock WHERE sku = ANY($1))
)
FROM inventory.stock WHERE sku = ANY($1)
"""


FORGET = (
    "TRUNCATE inventory.reservation, inventory.reservation_line",
    "UPDATE inventory.stock SET reserved_quantity = 0 WHERE reserved_quantity > 0",
)


class Warehouse:
    """A server that runs, and its database."""

    def __init__(
        self, url: str, served: Served, channel: grpc.aio.Channel, connection: asyncpg.Connection
    ) -> None:
        self.dsn = libpq_url(url)
        self.findings = served.findings
        """What CheckConsistency finds; nothing, where every book agrees with every other."""
        self.stub = inventory_pb2_grpc.InventoryServiceStub(channel)
        self._connection = connection

    async def stock(self, skus: Sequence[str], quantity: int) -> None:
        """Makes stocks of so many units each."""
        for first in range(0, len(skus), AT_ONCE):
            requests = [
                stock_pb2.CreateStockRequest(sku=sku, quantity=quantity, request_id=f"make-{sku}")
                for sku in skus[first : first + AT_ONCE]
            ]
            await asyncio.gather(*(self.stub.CreateStock(r, timeout=TIMEOUT_SECONDS) for r in requests))

    async def checkpoint(self) -> None:
        """Of the whole engine, so that every turn pays alike for the first change of a page."""
        await self._connection.execute("CHECKPOINT")

    async def forget(self) -> None:
        """Nothing is held any more."""
        for statement in FORGET:
            await self._connection.execute(statement)

    async def books(self, skus: Sequence[str]) -> Books:
        """Asks the database."""
        return Books(*(await self._connection.fetchrow(BOOKS, list(skus))))


@asynccontextmanager
async def warehouse(server: str, log: Path) -> AsyncIterator[Warehouse]:
    """A holdfast server over a fresh database of that engine."""
    async with database(server) as url:
        await migrated("inventory", url)
        connection = await asyncpg.connect(libpq_url(url), server_settings={"application_name": SESSION})
        served = Served("inventory_service", "INVENTORY", {"INVENTORY_DATABASE_URL": url}, log)
        try:
            await served.start()
            async with served.channel() as channel:
                yield Warehouse(url, served, channel, connection)
        finally:
            await served.kill()
            await connection.close()


def libpq_url(url: str) -> str:
    """A URL of ours as every driver understands it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _request(skus: Iterable[str]) -> reservation_pb2.ReserveStockRequest:
    lines = [reservation_pb2.ReservationLine(sku=sku, quantity=1) for sku in skus]
    return reservation_pb2.ReserveStockRequest(reservation_id=uuid4().hex, holder="bench", lines=lines)


class OfWarehouse:
    """A side whose stocks are in holdfast's own tables."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    async def stock(self, skus: Sequence[str], quantity: int) -> None:
        await self._warehouse.stock(skus, quantity)

    async def books(self, skus: Sequence[str]) -> Books:
        return await self._warehouse.books(skus)

    async def forget(self) -> None:
        await self._warehouse.forget()


class Unary(OfWarehouse):
    """One ReserveStock a reservation; `lines` skus in each."""

    def __init__(self, warehouse: Warehouse, lines: int = 1) -> None:
        super().__init__(warehouse)
        self._lines = lines

    @property
    def about(self) -> About:
        what = "ReserveStock" if self._lines == 1 else f"ReserveStock of {self._lines} lines"
        return About(
            "holdfast" if self._lines == 1 else f"holdfast, {self._lines} lines a call",
            "this checkout",
            f"one server process with its defaults, {what} over gRPC from a Python client; the client's and the"
            " server's work are both in the figure",
            "",
        )

    async def reserve(self, work: Work) -> Outcome:
        async def one(_caller: int, sku: str) -> int:
            request = _request([sku] if self._lines == 1 else work.skus[: self._lines])
            try:
                await self._warehouse.stub.ReserveStock(request, timeout=TIMEOUT_SECONDS)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.FAILED_PRECONDITION:
                    raise Refused from error
                raise
            return self._lines

        return await Tally().work(work, one)


class Streaming(OfWarehouse):
    """ReserveStockStream: a stream for each caller, who waits for each answer."""

    @property
    def about(self) -> About:
        return About(
            "holdfast, streams",
            "this checkout",
            "ReserveStockStream, a stream for each caller and one reservation at a time in it; otherwise as above",
            "",
        )

    async def reserve(self, work: Work) -> Outcome:
        calls = [self._warehouse.stub.ReserveStockStream() for _ in range(work.callers)]
        outcome = await Tally().work(work, _over(calls))
        for call in calls:
            await call.done_writing()
        return outcome


Call = grpc.aio.StreamStreamCall[
    reservation_pb2.ReserveStockStreamRequest, reservation_pb2.ReserveStockStreamResponse
]


def _over(calls: Sequence[Call]) -> Callable[[int, str], Awaitable[int]]:
    async def one(caller: int, sku: str) -> int:
        message = reservation_pb2.ReserveStockStreamRequest(correlation_id="one", reserve=_request([sku]))
        await calls[caller].write(message)
        answer = await calls[caller].read()
        if not isinstance(answer, reservation_pb2.ReserveStockStreamResponse):
            raise ConnectionError("the stream ended")
        if answer.WhichOneof("outcome") == "reservation":
            return 1
        if answer.refusal.reason == "INSUFFICIENT_STOCK":
            raise Refused
        raise RuntimeError(answer.refusal.message)

    return one
