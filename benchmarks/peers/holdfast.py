"""holdfast itself, called over gRPC by a Python client of this process."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from uuid import uuid4

import grpc
from holdfast.inventory.v1 import reservation_pb2

from benchmarks.peers.sides import About, Books, Outcome, Refused, Tally, Work
from benchmarks.peers.warehouse import TIMEOUT_SECONDS, Warehouse

LINES = 50


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
