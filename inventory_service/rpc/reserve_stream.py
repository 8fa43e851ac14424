"""ReserveStockStream: ReserveStock, many times over one stream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial

import structlog
from grpc import StatusCode
from holdfast.inventory.v1 import reservation_pb2 as pb

from inventory_service.rpc.caller import current_actor
from inventory_service.rpc.in_flight import answers
from inventory_service.rpc.messages import reservation
from inventory_service.rpc.messages import reserve_stream as messages
from inventory_service.rpc.reservation_methods import ReservationMethods
from inventory_service.rpc.statuses import STATUSES
from servicekit.errors import DeadlineExceeded, Draining
from servicekit.rpc.calls import begin_message, current_call
from servicekit.rpc.context import Context

MOST_IN_FLIGHT = 16

log = structlog.get_logger("reserve_stream")


class ReserveStreamMethods(ReservationMethods):
    """The part of InventoryService that reserves over a stream."""

    async def ReserveStockStream(
        self, request: AsyncIterator[pb.ReserveStockStreamRequest], context: Context
    ) -> AsyncIterator[pb.ReserveStockStreamResponse]:
        async with aclosing(
            answers(request, partial(self._answer, context), MOST_IN_FLIGHT, self._draining)
        ) as answered:
            async for answer in answered:
                yield answer
        if self._draining.is_set():
            raise Draining

    async def _answer(
        self, context: Context, message: pb.ReserveStockStreamRequest
    ) -> pb.ReserveStockStreamResponse:
        """The answer to one message; whatever it is refused for is an answer too."""
        answer = pb.ReserveStockStreamResponse(correlation_id=message.correlation_id)
        try:
            begin_message(context)
            messages.require_correlation_id(message)
            held, answer.replayed = await self._reserve(message.reserve)
            answer.reservation.CopyFrom(held.reservation)
        except Exception as error:
            refused = DeadlineExceeded() if isinstance(error, TimeoutError) else error
            status = STATUSES.status(refused, current_call().call_id)
            if status.code is StatusCode.INTERNAL:
                log.error("reservation of a stream failed", exc_info=error)
            answer.refusal.CopyFrom(messages.refusal_message(status))
        return answer

    async def _reserve(self, request: pb.ReserveStockRequest) -> tuple[pb.ReserveStockResponse, bool]:
        """What ReserveStock does, but for the metadata: a stream has that only once."""
        command = reservation.reserve_stock(request, current_actor())
        async with asyncio.timeout(current_call().remaining()):
            return await self._outcome(command, request, pb.ReserveStockResponse)
