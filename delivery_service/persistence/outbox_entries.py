"""The outbox as operators see it."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.application.outbox_ports import CommandState, OutboxEntry
from delivery_service.domain.reservation import StockCommand
from delivery_service.persistence.outbox import DONE, INFLIGHT, PARKED, PENDING
from delivery_service.persistence.tables import outbox

_STATES = {
    PENDING: CommandState.PENDING,
    INFLIGHT: CommandState.IN_FLIGHT,
    DONE: CommandState.DONE,
    PARKED: CommandState.PARKED,
}
_CODES = {state: code for code, state in _STATES.items()}


class SqlOutboxEntries:
    """Entries over one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def get(self, entry_id: int) -> OutboxEntry | None:
        """By the primary key."""
        statement = select(outbox).where(outbox.c.entry_id == entry_id)
        row = (await self._connection.execute(statement)).one_or_none()
        return None if row is None else _entry(row)

    async def list_entries(self, state: CommandState | None, size: int, after: int) -> list[OutboxEntry]:
        """By the index on states; those that are done, of which there are many, in the order of the primary key."""
        codes = [PENDING, INFLIGHT, PARKED] if state is None else [_CODES[state]]
        rows = await self._connection.execute(
            select(outbox)
            .where(outbox.c.state.in_(codes), outbox.c.entry_id > after)
            .order_by(outbox.c.entry_id)
            .limit(size)
        )
        return [_entry(row) for row in rows]


def _entry(row: Any) -> OutboxEntry:
    return OutboxEntry(
        row.entry_id,
        row.package_sn,
        row.package_version,
        StockCommand(row.command),
        _STATES[row.state],
        row.attempts,
        row.last_error,
        row.create_time,
        row.next_attempt_time,
    )
