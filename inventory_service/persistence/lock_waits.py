"""Waits for what somebody else has locked, in a transaction that has locked nothing else."""

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.application.locks import Kind, Lockable, Locked
from inventory_service.persistence.fixed import Fixed
from servicekit.persistence.conflicts import lock_wait_ended

STOCK = Fixed("SELECT FROM inventory.stock WHERE sku = :name FOR UPDATE")
RESERVATION = Fixed("SELECT FROM inventory.reservation WHERE reservation_id = :name FOR UPDATE")
# The numbers are those under which batches lock names.
_RESERVATION_NAME = Fixed("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_REQUEST_NAME = Fixed("SELECT pg_advisory_xact_lock(hashtextextended(:name, 1))")

_WAYS = {
    Kind.STOCK: [STOCK],
    Kind.RESERVATION: [_RESERVATION_NAME, RESERVATION],
    Kind.REQUEST: [_REQUEST_NAME],
}


class SqlLocks:
    """The locks over one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def wait_for(self, what: Lockable) -> None:
        try:
            for statement in _WAYS[what.kind]:
                await statement(self._connection, {"name": what.name})
        except DBAPIError as error:
            if lock_wait_ended(error):
                raise Locked(what) from error
            raise
