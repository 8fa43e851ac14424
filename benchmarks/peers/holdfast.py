"""holdfast itself: a server as a process, as it is shipped, called over gRPC by a Python client of this process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
import grpc
from holdfast.inventory.v1 import inventory_pb2_grpc, reservation_pb2, stock_pb2
from holdfast.ops.v1 import ops_pb2, ops_pb2_grpc
from sqlalchemy import make_url

from benchmarks.database import database
from benchmarks.peers.sides import About, Books, Outcome, Refused, Tally, Work
from benchmarks.transfer import serving
from tests.support.services import migrate

LINES = 50
TIMEOUT_SECONDS = 10.0
AT_ONCE = 64

BOOKS = """
SELECT sum(quantity), sum(reserved_quantity), (
    SELECT coalesce(sum(line.quantity), 0) FROM inventory.reservation_line line
    JOIN inventory.reservation USING (reservation_id)
    WHERE state = 'HELD' AND line.stock_id IN (SELECT id FROM inventory.stock WHERE sku = ANY($1))
)
FROM inventory.stock WHERE sku = ANY($1)
"""


class Warehouse:
    """A server that runs, and its database."""

    def __init__(self, url: str, channel: grpc.aio.Channel, connection: asyncpg.Connection) -> None:
        self.dsn = libpq_url(url)
        self.stub = inventory_pb2_grpc.InventoryServiceStub(channel)
        self._ops = ops_pb2_grpc.OpsServiceStub(channel)
        self._connection = connection

    async def stock(self, skus: Sequence[str], quantity: int) -> None:
        """Makes stocks of so many units each."""
        for first in range(0, len(skus), AT_ONCE):
            requests = [
                stock_pb2.CreateStockRequest(sku=sku, quantity=quantity, request_id=f"make-{sku}")
                for sku in skus[first : first + AT_ONCE]
            ]
            await asyncio.gather(*(self.stub.CreateStock(r, timeout=TIMEOUT_SECONDS) for r in requests))

    async def books(self, skus: Sequence[str]) -> Books:
        """Asks the database."""
        return Books(*(await self._connection.fetchrow(BOOKS, list(skus))))

    async def findings(self) -> list[str]:
        """What CheckConsistency finds; nothing, where every book agrees with every other."""
        answers = self._ops.CheckConsistency(ops_pb2.CheckConsistencyRequest(), timeout=600)
        return [str(answer.finding) async for answer in answers]


@asynccontextmanager
async def warehouse(server: str) -> AsyncIterator[Warehouse]:
    """A holdfast server over a fresh database of that engine."""
    async with database(server) as url:
        await migrate("inventory", url)
        connection = await asyncpg.connect(libpq_url(url))
        try:
            async with serving(url) as (address, _), grpc.aio.insecure_channel(address) as channel:
                yield Warehouse(url, channel, connection)
        finally:
            await connection.close()


def libpq_url(url: str) -> str:
    """A URL of ours as every driver understands it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _request(skus: Iterable[str]) -> reservation_pb2.ReserveStockRequest:
    lines = [reservation_pb2.ReservationLine(sku=sku, quantity=1) for sku in skus]
    return reservation_pb2.ReserveStockRequest(reservation_id=uuid4().hex, holder="bench", lines=lines)


class Unary:
    """One ReserveStock a reservation; `lines` skus in each."""

    def __init__(self, warehouse: Warehouse, lines: int = 1) -> None:
        self._warehouse = warehouse
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

    async def stock(self, skus: Sequence[str], quantity: int) -> None:
        await self._warehouse.stock(skus, quantity)

    async def books(self, skus: Sequence[str]) -> Books:
        return await self._warehouse.books(skus)

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


class Streaming:
    """ReserveStockStream: a stream for each caller, who waits for each answer."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    @property
    def about(self) -> About:
        return About(
            "holdfast, streams",
            "this checkout",
            "ReserveStockStream, a stream for each caller and one reservation at a time in it; otherwise as above",
            "",
        )

    async def stock(self, skus: Sequence[str], quantity: int) -> None:
        await self._warehouse.stock(skus, quantity)

    async def books(self, skus: Sequence[str]) -> Books:
        return await self._warehouse.books(skus)

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
