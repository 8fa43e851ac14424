"""The ledger in `stock_movement`."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Row, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.application.ports import MovementFilter
from inventory_service.domain.movement import Movement, MovementReason, RecordedMovement
from inventory_service.persistence.keys import time_and_number
from inventory_service.persistence.tables import stock, stock_movement

_COLUMNS = (*stock_movement.c, stock.c.sku)


class Movements:
    """The ledger over one connection; entries bear the transaction's time."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def add(self, movements: Sequence[Movement]) -> None:
        """Enters movements."""
        rows = [
            {
                "create_time": self._now,
                "stock_id": movement.stock_id,
                "delta": movement.delta,
                "reason": movement.reason.value,
                "reference": movement.reference,
                "note": movement.note,
                "reservation_id": movement.reservation_id,
                "actor": movement.actor,
            }
            for movement in movements
        ]
        await self._connection.execute(insert(stock_movement), rows)

    async def list_movements(
        self, wanted: MovementFilter, size: int, after: tuple[str, ...] | None
    ) -> list[RecordedMovement]:
        """At most `size` movements, the newest first; `after` is (create_time, movement_id)."""
        columns = stock_movement.c
        key = tuple_(columns.create_time, columns.movement_id)
        query = select(*_COLUMNS).join_from(stock_movement, stock, stock.c.id == columns.stock_id)
        if wanted.sku is not None:
            query = query.where(stock.c.sku == wanted.sku)
        if wanted.reason is not None:
            query = query.where(columns.reason == wanted.reason.value)
        if wanted.reference is not None:
            query = query.where(columns.reference == wanted.reference)
        if wanted.reservation_id is not None:
            query = query.where(columns.reservation_id == wanted.reservation_id)
        if wanted.start_time is not None:
            query = query.where(columns.create_time >= wanted.start_time)
        if wanted.end_time is not None:
            query = query.where(columns.create_time < wanted.end_time)
        if after is not None:
            query = query.where(key < time_and_number(after))
        query = query.order_by(columns.create_time.desc(), columns.movement_id.desc()).limit(size)
        return [_movement(row) for row in await self._connection.execute(query)]


def _movement(row: Row[tuple[object, ...]]) -> RecordedMovement:
    return RecordedMovement(
        movement_id=row.movement_id,
        sku=row.sku,
        delta=row.delta,
        reason=MovementReason(row.reason),
        actor=row.actor,
        reference=row.reference,
        note=row.note,
        reservation_id=row.reservation_id,
        create_time=row.create_time,
    )
