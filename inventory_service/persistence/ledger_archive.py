"""Months of the ledger on their way into the archive and back: their entries, balances and records."""

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime

from sqlalchemy import MetaData, Row, Table, and_, delete, exists, func, insert, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.application.ledger_ports import ENTRIES_AT_ONCE
from inventory_service.domain.ledger import LedgerEntry, LedgerFile, LedgerMonth
from inventory_service.persistence.ledger_partitions import kept_table_of, table_of
from inventory_service.persistence.names import NAME, with_names
from inventory_service.persistence.tables import archived_month, stock_movement, stock_movement_balance


class SqlLedgerArchive:
    """The archive's side of the ledger over one connection."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def list_archived(self) -> list[LedgerFile]:
        rows = await self._connection.execute(select(archived_month).order_by(archived_month.c.month))
        return [_file(row) for row in rows]

    async def archived_before(self) -> datetime | None:
        last: date | None = (
            await self._connection.execute(select(func.max(archived_month.c.month)))
        ).scalar()
        return None if last is None else LedgerMonth(last.year, last.month).end

    async def count(self, month: LedgerMonth) -> int:
        query = select(func.count()).select_from(_table(table_of(month)))
        return int((await self._connection.execute(query)).scalar_one())

    async def entries(self, month: LedgerMonth, *, kept: bool = False) -> AsyncIterator[list[LedgerEntry]]:
        entry = _table(kept_table_of(month) if kept else table_of(month))
        columns = [NAME if name == "sku" else entry.c[name] for name in LedgerEntry._fields]
        key = tuple_(entry.c.create_time, entry.c.movement_id)
        query = (
            select(*columns)
            .select_from(with_names(entry, entry.c.stock_id))
            .order_by(entry.c.create_time, entry.c.movement_id)
            .limit(ENTRIES_AT_ONCE)
        )
        # Page by page: a cursor would stay open until the transaction ends, and keep the table from being dropped.
        page = query
        while rows := (await self._connection.execute(page)).all():
            yield [LedgerEntry._make(row) for row in rows]
            page = query.where(key > (rows[-1].create_time, rows[-1].movement_id))

    async def add_entries(self, month: LedgerMonth, entries: Sequence[LedgerEntry]) -> None:
        table = _table(table_of(month))
        columns = [name for name in LedgerEntry._fields if name in table.c]
        values = [{name: getattr(entry, name) for name in columns} for entry in entries]
        await self._connection.execute(insert(table), values)

    async def leave_balances(self, file: LedgerFile) -> None:
        entry = _table(table_of(file.month))
        brought = (
            select(entry.c.stock_id, literal(_key(file.month)), func.sum(entry.c.delta))
            .group_by(entry.c.stock_id)
            .having(func.sum(entry.c.delta) != 0)
        )
        balance = stock_movement_balance
        await self._connection.execute(
            insert(balance).from_select(["stock_id", "month", "quantity"], brought)
        )
        record = {
            "month": _key(file.month),
            "file_name": file.name,
            "sha256": file.sha256,
            "row_count": file.row_count,
            "delta_sum": file.delta_sum,
            "archive_time": self._now,
        }
        await self._connection.execute(insert(archived_month).values(record))

    async def agrees(self, file: LedgerFile) -> bool:
        entry, balance = _table(table_of(file.month)), stock_movement_balance
        found = (
            select(entry.c.stock_id, func.sum(entry.c.delta).label("quantity"))
            .group_by(entry.c.stock_id)
            .having(func.sum(entry.c.delta) != 0)
            .subquery()
        )
        left = select(balance).where(balance.c.month == _key(file.month)).subquery()
        same = and_(found.c.stock_id == left.c.stock_id, found.c.quantity == left.c.quantity)
        unlike = select(1).select_from(found.join(left, same, full=True))
        unlike = unlike.where(found.c.stock_id.is_(None) | left.c.stock_id.is_(None))
        query = select(exists(unlike))
        differs = (await self._connection.execute(query)).scalar_one()
        return not differs and await self.count(file.month) == file.row_count

    async def forget(self, month: LedgerMonth) -> None:
        balance = stock_movement_balance
        await self._connection.execute(delete(balance).where(balance.c.month == _key(month)))
        await self._connection.execute(delete(archived_month).where(archived_month.c.month == _key(month)))


def _table(name: str) -> Table:
    return stock_movement.to_metadata(MetaData(), name=name)


def _key(month: LedgerMonth) -> date:
    return month.start.date()


def _file(row: Row[tuple[object, ...]]) -> LedgerFile:
    month = LedgerMonth(row.month.year, row.month.month)
    return LedgerFile(month, row.file_name, row.sha256, row.row_count, row.delta_sum)
