"""What one would write instead: a transaction of three statements a request, and the best single statement.

On asyncpg itself, over the service's own migrated tables, with its sessions' limits, its validation and its answers.
Neither checks a connection by another round trip when it is given back, as asyncpg's pool does unless it is told not
to: that is the faster form, so the one to be compared with. What both lack beside the service: the answer to a
repeated id (it is an error here), expiry, several lines, the words of a refusal.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from holdfast.inventory.v1 import reservation_pb2 as pb

from inventory_service.domain.commands import ReserveStock
from inventory_service.domain.errors import InsufficientStock, Shortage
from inventory_service.domain.reservation import Reservation, ReservationLine, ReservationState
from inventory_service.rpc.caller import current_actor
from inventory_service.rpc.messages import reservation as messages
from servicekit.context import Context

POOL = 10
SESSION = "holdfast"
"""By its name the schema knows who keeps the books; what others write is followed by triggers, at a price."""

TAKE = """
UPDATE inventory.stock SET reserved_quantity = reserved_quantity + $2, version = version + 1, updated_at = now()
WHERE sku = $1 AND status IN ('in_stock', 'presale', 'preorder') AND quantity - reserved_quantity >= $2
RETURNING id
"""
ADD_RESERVATION = """
INSERT INTO inventory.reservation (reservation_id, holder, state, created_by, create_time)
VALUES ($1, $2, 'HELD', $3, now()) RETURNING create_time
"""
ADD_LINE = """
INSERT INTO inventory.reservation_line (reservation_id, stock_id, quantity, committed_quantity, open)
VALUES ($1, $2, $3, 0, true)
"""
SINGLE = """
WITH taken AS (
    UPDATE inventory.stock
    SET reserved_quantity = reserved_quantity + {quantity}, version = version + 1, updated_at = now()
    WHERE sku = {sku} AND status IN ('in_stock', 'presale', 'preorder')
        AND quantity - reserved_quantity >= {quantity}
    RETURNING id
), made AS (
    INSERT INTO inventory.reservation (reservation_id, holder, state, created_by, create_time)
    SELECT {reservation_id}, {holder}, 'HELD', {actor}, now() FROM taken RETURNING reservation_id, create_time
), held AS (
    INSERT INTO inventory.reservation_line (reservation_id, stock_id, quantity, committed_quantity, open)
    SELECT reservation_id, id, {quantity}, 0, true FROM taken, made
)
SELECT id, create_time FROM taken, made
"""
SINGLE_CALL = SINGLE.format(
    sku="$1", quantity="$2::integer", reservation_id="$3::text", holder="$4::text", actor="$5::text"
)

Reserve = Callable[[asyncpg.Connection, ReserveStock, str, int], Awaitable[Any]]


async def three_statements(connection: Any, command: ReserveStock, sku: str, quantity: int) -> Any:
    """One transaction: the units, the reservation, its line."""
    async with connection.transaction():
        stock_id = await connection.fetchval(TAKE, sku, quantity)
        if stock_id is None:
            return None
        create_time = await connection.fetchval(
            ADD_RESERVATION, command.reservation_id, command.holder, command.actor.name
        )
        await connection.execute(ADD_LINE, command.reservation_id, stock_id, quantity)
    return stock_id, create_time


async def single_statement(connection: Any, command: ReserveStock, sku: str, quantity: int) -> Any:
    """The same in one round trip, committed by itself."""
    return await connection.fetchrow(
        SINGLE_CALL, sku, quantity, command.reservation_id, command.holder, command.actor.name
    )


async def _leave_as_it_is(_: Any) -> None:
    """A session of ours changes nothing that would have to be put back."""


class Baselines:
    """The two methods over one pool."""

    def __init__(self, database_url: str) -> None:
        """Inside an event loop; the first call waits until the pool is open."""
        address = database_url.replace("postgresql+asyncpg", "postgresql")
        settings = {"application_name": SESSION, "timezone": "UTC", "jit": "off"}
        settings |= {"lock_timeout": "2000", "statement_timeout": "5000"}
        pool = asyncpg.create_pool(
            address, min_size=POOL, max_size=POOL, server_settings=settings, reset=_leave_as_it_is
        )
        self._pool = asyncio.ensure_future(_opened(pool))

    async def ReserveByThree(
        self, request: pb.ReserveStockRequest, context: Context
    ) -> pb.ReserveStockResponse:
        """Three statements."""
        return await self._reserve(request, three_statements)

    async def ReserveBySingle(
        self, request: pb.ReserveStockRequest, context: Context
    ) -> pb.ReserveStockResponse:
        """One statement."""
        return await self._reserve(request, single_statement)

    async def _reserve(self, request: pb.ReserveStockRequest, way: Reserve) -> pb.ReserveStockResponse:
        command = messages.reserve_stock(request, current_actor())
        [(sku, quantity)] = command.quantities.items()
        async with (await self._pool).acquire() as connection:
            made = await way(connection, command, sku, quantity)
        if made is None:
            raise InsufficientStock((Shortage(sku, quantity, 0),))
        stock_id, create_time = made
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
        await (await self._pool).close()


async def _opened(pool: Any) -> Any:
    return await pool
