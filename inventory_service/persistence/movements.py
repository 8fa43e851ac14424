"""The ledger in `stock_movement`."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Row, ScalarSelect, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.application.ports import MovementFilter
from inventory_service.domain.movement import Movement, MovementReason, RecordedMovement
from inventory_service.persistence.fixed import Fixed
from inventory_service.persistence.names import NAME, ids_named, with_names
from inventory_service.persistence.tables import stock_movement, stock_movement_balance

_COLUMNS = (*stock_movement.c, NAME.label("sku"))

_ADD = Fixed("""
    INSERT INTO inventory.stock_movement
        (create_time, stock_id, delta, reason, reference, note, reservation_id, actor)
    SELECT CAST(:now AS timestamptz), stock_id, delta, reason, reference, note, reservation_id, actor
    FROM unnest(CAST(:stock_ids AS uuid[]), CAST(:deltas AS integer[]), CAST(:reasons AS text[]),
        CAST(:references AS text[]), CAST(:notes AS text[]), CAST(:reservation_ids AS text[]),
        CAST(:actors AS text[])) WITH ORDINALITY
        AS movement (stock_id, delta, reason, reference, note, reservation_id, actor, number)
    ORDER BY number
    RETURNING movement_id
""")


class SqlMovements:
    """The ledger over one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, movements: Sequence[Movement], now: datetime) -> list[RecordedMovement]:
        values = {
            "stock_ids": [m.stock_id for m in movements],
            "deltas": [m.delta for m in movements],
            "reasons": [m.reason.value for m in movements],
            "references": [m.reference for m in movements],
            "notes": [m.note for m in movements],
            "reservation_ids": [m.reservation_id for m in movements],
            "actors": [m.actor for m in movements],
            "now": now,
        }
        ids = [row["movement_id"] for row in await _ADD(self._connection, values)]
        # Numbers are drawn in the order of the rows; in which order they are returned is nobody's promise.
        return [
            _recorded(movement, number, now) for movement, number in zip(movements, sorted(ids), strict=True)
        ]

    async def total(self, stock_id: UUID) -> int:
        """One statement: a month that leaves at the same time is counted once."""
        listed = _total(stock_movement.c.delta, stock_movement.c.stock_id == stock_id)
        return int((await self._connection.execute(select(listed + _archived(stock_id)))).scalar_one())

    async def archived_total(self, stock_id: UUID) -> int:
        return int((await self._connection.execute(select(_archived(stock_id)))).scalar_one())

    async def list_movements(
        self, wanted: MovementFilter, size: int, after: tuple[datetime, int] | None
    ) -> list[RecordedMovement]:
        columns = stock_movement.c
        key = tuple_(columns.create_time, columns.movement_id)
        query = select(*_COLUMNS).select_from(with_names(stock_movement, columns.stock_id))
        if wanted.sku is not None:
            query = query.where(columns.stock_id.in_(ids_named(wanted.sku)))
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
            query = query.where(key < after)
        query = query.order_by(columns.create_time.desc(), columns.movement_id.desc()).limit(size)
        return [_movement(row) for row in await self._connection.execute(query)]


def _archived(stock_id: UUID) -> ScalarSelect[int]:
    balance = stock_movement_balance.c
    return _total(balance.quantity, balance.stock_id == stock_id)


def _total(units: ColumnElement[int], of: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.coalesce(func.sum(units), 0)).where(of).scalar_subquery()


def _recorded(movement: Movement, movement_id: int, now: datetime) -> RecordedMovement:
    return RecordedMovement(
        movement_id=movement_id,
        sku=movement.sku,
        delta=movement.delta,
        reason=movement.reason,
        actor=movement.actor,
        reference=movement.reference,
        note=movement.note,
        reservation_id=movement.reservation_id,
        create_time=now,
    )


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
