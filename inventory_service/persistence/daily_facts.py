"""The daily facts in the schema `analytics`, and the notes in `uncounted_movement`."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, Table, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.application.fact_ports import FactFilter
from inventory_service.domain.daily_fact import FACT_COLUMNS, DailyFact, FactColumn, FactDifference
from inventory_service.domain.stock import Platform, StockStatus
from inventory_service.persistence import daily_fact_statements as statements
from inventory_service.persistence.locks import Lock, try_lock
from inventory_service.persistence.tables import daily_status_fact, daily_stock_fact
from inventory_service.persistence.tallies import LONGER

_MEANING = {
    "reasons": [reason.value for reason in FACT_COLUMNS],
    "columns": [column.value for column in FACT_COLUMNS.values()],
}


class SqlDailyFacts:
    """The daily facts over one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def begin_count(self) -> bool:
        return await try_lock(self._connection, Lock.FACTS)

    async def uncounted(self) -> bool:
        return bool((await self._connection.execute(statements.UNCOUNTED)).scalar())

    async def count(self, most: int) -> int:
        counted = await self._connection.execute(statements.COUNT, _MEANING | {"most": most})
        return int(counted.scalar_one())

    async def through_time(self) -> datetime:
        time: datetime = (await self._connection.execute(statements.THROUGH_TIME)).scalar_one()
        return time

    async def list_by_stock(
        self, wanted: FactFilter, size: int, after: tuple[date, str] | None
    ) -> list[DailyFact]:
        columns = daily_stock_fact.c
        query = _of_days(daily_stock_fact, wanted)
        if wanted.sku is not None:
            query = query.where(columns.sku == wanted.sku)
        if after is not None:
            query = query.where(tuple_(columns.day, columns.sku) < after)
        query = query.order_by(columns.day.desc(), columns.sku.desc()).limit(size)
        return [_fact(row, sku=row.sku) for row in await self._connection.execute(query)]

    async def list_by_status(
        self, wanted: FactFilter, size: int, after: tuple[date, str, str] | None
    ) -> list[DailyFact]:
        columns = daily_status_fact.c
        query = _of_days(daily_status_fact, wanted)
        if after is not None:
            query = query.where(tuple_(columns.day, columns.status, columns.platform) < after)
        query = query.order_by(columns.day.desc(), columns.status.desc(), columns.platform.desc()).limit(size)
        return [
            _fact(
                row,
                status=StockStatus(row.status) if row.status else None,
                platform=Platform(row.platform) if row.platform else None,
            )
            for row in await self._connection.execute(query)
        ]

    async def names(self, after: str, size: int) -> list[str]:
        found = await self._connection.execute(statements.NAMES, {"after": after, "size": size})
        return list(found.scalars())

    async def differences_by_stock(self, skus: Sequence[str]) -> list[FactDifference]:
        await self._connection.execute(LONGER)
        rows = await self._connection.execute(statements.DIFFERENCES_BY_STOCK, _MEANING | {"skus": skus})
        return [_difference(row.day, row.sku, row) for row in rows]

    async def next_day(self, after: date) -> date | None:
        day: date | None = (await self._connection.execute(statements.NEXT_DAY, {"after": after})).scalar()
        return day

    async def differences_by_status(self, day: date) -> Sequence[FactDifference]:
        rows = await self._connection.execute(statements.DIFFERENCES_BY_STATUS, {"day": day})
        return [_difference(day, "", row) for row in rows]


def _of_days(table: Table, wanted: FactFilter) -> Select[Any]:
    query = select(table)
    if wanted.start_day is not None:
        query = query.where(table.c.day >= wanted.start_day)
    if wanted.end_day is not None:
        query = query.where(table.c.day < wanted.end_day)
    return query


def _fact(row: Any, **group: Any) -> DailyFact:
    return DailyFact(
        day=row.day,
        received_quantity=row.received_quantity,
        sold_quantity=row.sold_quantity,
        returned_quantity=row.returned_quantity,
        adjusted_quantity=row.adjusted_quantity,
        **group,
    )


def _difference(day: date, sku: str, row: Any) -> FactDifference:
    return FactDifference(day, sku, FactColumn(row.column_name), int(row.recorded), int(row.counted))
