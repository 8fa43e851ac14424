"""The record of repairs, and the writes that only a repair needs."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.application.repair_ports import Inconsistency, LockedLevel, RepairRecord
from inventory_service.persistence.tables import repair, stock

_MARK_LINES = text("""
    UPDATE inventory.reservation_line line SET open = reservation.state = 'HELD'
    FROM inventory.reservation
    WHERE reservation.reservation_id = line.reservation_id AND line.stock_id = :stock_id
        AND line.open <> (reservation.state = 'HELD')
    RETURNING line.reservation_id
""")
_OPEN_UNITS = text(
    "SELECT COALESCE(sum(quantity), 0) FROM inventory.reservation_line WHERE stock_id = :stock_id AND open"
)
_SAVE_RESERVED = text("""
    UPDATE inventory.stock SET reserved_quantity = :reserved_quantity, version = version + 1, updated_at = :now
    WHERE id = :stock_id
""")
_ALERTS = text("SELECT count(*) FROM inventory.stock_alert WHERE stock_id = :stock_id AND end_time IS NULL")
_JUDGE = text("SELECT inventory.judge_low_stock(ARRAY[CAST(:stock_id AS uuid)])")


class SqlRepairs:
    """Repairs over one connection."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def add(self, record: RepairRecord) -> None:
        found = record.found
        await self._connection.execute(
            insert(repair).values(
                caller=record.caller,
                request_id=record.request_id,
                check_name=found.check,
                subject=found.subject,
                description=found.description,
                facts=dict(found.facts),
                repair=record.repair,
                trace=record.trace,
                create_time=self._now,
            )
        )

    async def list_repairs(
        self, caller: str, request_id: str, after: int, size: int
    ) -> list[tuple[int, RepairRecord]]:
        columns = repair.c
        rows = await self._connection.execute(
            select(repair)
            .where(columns.caller == caller, columns.request_id == request_id, columns.repair_id > after)
            .order_by(columns.repair_id)
            .limit(size)
        )
        return [
            (
                row.repair_id,
                RepairRecord(
                    row.caller,
                    row.request_id,
                    Inconsistency(row.check_name, row.subject, row.description, row.facts),
                    row.repair,
                    row.trace,
                ),
            )
            for row in rows
        ]

    async def lock_level(self, sku: str) -> LockedLevel | None:
        columns = stock.c
        statement = select(columns.id, columns.quantity, columns.reserved_quantity).where(columns.sku == sku)
        row = (await self._connection.execute(statement.with_for_update())).one_or_none()
        return None if row is None else LockedLevel(row.id, row.quantity, row.reserved_quantity)

    async def mark_lines(self, stock_id: UUID) -> list[str]:
        marked = await self._connection.execute(_MARK_LINES, {"stock_id": stock_id})
        return sorted(marked.scalars())

    async def open_units(self, stock_id: UUID) -> int:
        units = await self._connection.execute(_OPEN_UNITS, {"stock_id": stock_id})
        return int(units.scalar_one())

    async def save_reserved(self, stock_id: UUID, reserved_quantity: int) -> None:
        await self._connection.execute(
            _SAVE_RESERVED,
            {"stock_id": stock_id, "reserved_quantity": reserved_quantity, "now": self._now},
        )

    async def judge_low_stock(self, stock_id: UUID) -> bool:
        before = (await self._connection.execute(_ALERTS, {"stock_id": stock_id})).scalar_one()
        await self._connection.execute(_JUDGE, {"stock_id": stock_id})
        after = (await self._connection.execute(_ALERTS, {"stock_id": stock_id})).scalar_one()
        return bool(before != after)
