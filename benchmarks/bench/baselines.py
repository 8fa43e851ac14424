"""The forms of `statement_forms` as methods of the bench, with the service's validation and its answers."""

from holdfast.inventory.v1 import reservation_pb2 as pb

from benchmarks.bench.statement_forms import (
    Reserve,
    session_pool,
    single_statement,
    three_statements,
    update_first,
)
from inventory_service.domain.reservation import Reservation, ReservationLine, ReservationState
from inventory_service.rpc.caller import current_actor
from inventory_service.rpc.messages import reservation as messages
from servicekit.rpc.context import Context


class Baselines:
    """The methods over one pool."""

    def __init__(self, database_url: str) -> None:
        """Inside an event loop."""
        self._pool = session_pool(database_url)

    async def ReserveByThree(
        self, request: pb.ReserveStockRequest, context: Context
    ) -> pb.ReserveStockResponse:
        """Three statements."""
        return await self._reserve(request, three_statements)

    async def ReserveByThreeUpdateFirst(
        self, request: pb.ReserveStockRequest, context: Context
    ) -> pb.ReserveStockResponse:
        """Three statements, the contended one first."""
        return await self._reserve(request, update_first)

    async def ReserveBySingle(
        self, request: pb.ReserveStockRequest, context: Context
    ) -> pb.ReserveStockResponse:
        """One statement."""
        return await self._reserve(request, single_statement)

    async def _reserve(self, request: pb.ReserveStockRequest, way: Reserve) -> pb.ReserveStockResponse:
        command = messages.reserve_stock(request, current_actor())
        [(sku, quantity)] = command.quantities.items()
        await self._pool
        async with self._pool.acquire() as connection:
            stock_id, create_time = await way(connection, command, sku, quantity)
        held = Reservation(
            reservation_id=command.reservation_id,
            holder=command.holder,
            state=ReservationState.HELD,
            lines=(ReservationLine(stock_id, sku, quantity),),
            created_by=command.actor.name,
            create_time=create_time,
            ttl=None,
            expire_time=None,
        )
        return pb.ReserveStockResponse(reservation=messages.reservation_message(held))

    async def close(self) -> None:
        """Closes the pool."""
        await self._pool.close()
