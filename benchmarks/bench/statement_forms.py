"""What one would write instead: a transaction of three statements a request, in two orders, and the best single one.

On asyncpg itself, over the service's own migrated tables, with its sessions' limits. They do not check a connection by
another round trip when it is given back, as asyncpg's pool does unless it is told not to: that is the faster form, so
the one to be compared with. What all lack beside the service: the answer to a repeated id (it is an error here),
expiry, several lines, the words of a refusal.
"""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from benchmarks.database import libpq_url
from inventory_service.domain.commands import ReserveStock
from inventory_service.domain.errors import InsufficientStock, Shortage

POOL = int(os.environ.get("HOLDFAST_BENCH_POOL", "10"))
"""Sessions at most; docs/benchmarks/README.md says how this number was found."""
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
ADD_LINE_OF_SKU = """
INSERT INTO inventory.reservation_line (reservation_id, stock_id, quantity, committed_quantity, open)
SELECT $1, id, $3, 0, true FROM inventory.stock WHERE sku = $2
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
    """One transaction: the reservation, its line, the units; a row that many want is locked for its end only.

    Raises InsufficientStock, as all of them do.
    """
    async with connection.transaction():
        create_time = await connection.fetchval(
            ADD_RESERVATION, command.reservation_id, command.holder, command.actor.name
        )
        await connection.execute(ADD_LINE_OF_SKU, command.reservation_id, sku, quantity)
        stock_id = await connection.fetchval(TAKE, sku, quantity)
        if stock_id is None:
            raise _short(sku, quantity)
    return stock_id, create_time


async def update_first(connection: Any, command: ReserveStock, sku: str, quantity: int) -> Any:
    """The same rows in the order that comes to mind: the units, the reservation, its line."""
    async with connection.transaction():
        stock_id = await connection.fetchval(TAKE, sku, quantity)
        if stock_id is None:
            raise _short(sku, quantity)
        create_time = await connection.fetchval(
            ADD_RESERVATION, command.reservation_id, command.holder, command.actor.name
        )
        await connection.execute(ADD_LINE, command.reservation_id, stock_id, quantity)
    return stock_id, create_time


async def single_statement(connection: Any, command: ReserveStock, sku: str, quantity: int) -> Any:
    """The same in one round trip, committed by itself."""
    made = await connection.fetchrow(
        SINGLE_CALL, sku, quantity, command.reservation_id, command.holder, command.actor.name
    )
    if made is None:
        raise _short(sku, quantity)
    return made


def _short(sku: str, quantity: int) -> InsufficientStock:
    return InsufficientStock((Shortage(sku, quantity, 0),))


def session_pool(database_url: str) -> Any:
    """A pool that opens on `async with` or `await`, and each of its sessions when it is first needed."""
    settings = {"application_name": SESSION, "timezone": "UTC", "jit": "off"}
    settings |= {"lock_timeout": "2000", "statement_timeout": "5000"}
    return asyncpg.create_pool(
        libpq_url(database_url),
        min_size=0,
        max_size=POOL,
        server_settings=settings,
        reset=_leave_as_it_is,
    )


async def _leave_as_it_is(_: Any) -> None:
    """A session of ours changes nothing that would have to be put back."""
