"""The view of computed figures, and the same figures computed from the stocks."""

from datetime import datetime
from typing import Any

from sqlalchemy import FromClause, Select, case, column, func, select, table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.domain.stock import StockStatus
from inventory_service.domain.stock_metrics import StatusSummary, StockMetrics
from inventory_service.persistence.locks import Lock, try_lock
from inventory_service.persistence.tables import stock, stock_metrics_refresh

REFRESH_LIMIT_SECONDS = 600

_VIEW = table(
    "stock_metrics_view",
    *map(column, ("sku", "status", "total_quantity", "reserved_quantity", "available_quantity")),
    *map(column, ("total_cost", "expected_profit", "last_calculated_at")),
    schema="inventory",
)

# What the view's definition says, in the migrations.
_LIVE = select(
    stock.c.sku,
    stock.c.status,
    stock.c.quantity.label("total_quantity"),
    stock.c.reserved_quantity,
    (stock.c.quantity - stock.c.reserved_quantity).label("available_quantity"),
    stock.c.gross_purchase_price.label("total_cost"),
    case((stock.c.roi_percentage > 0, stock.c.gross_purchase_price * (stock.c.roi_percentage / 100))).label(
        "expected_profit"
    ),
    func.now().label("last_calculated_at"),
).subquery("live")

_POPULATED = text(
    "SELECT relispopulated FROM pg_class WHERE oid = to_regclass('inventory.stock_metrics_view')"
)

# A session's own limits are for calls, and a lock is waited for no longer than they say.
_LIMIT_REFRESH = text("SELECT set_config('statement_timeout', :limit, true)")
_REFRESH = text("SELECT inventory.refresh_stock_metrics()")


class SqlMetrics:
    """The computed figures over one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def refresh_time(self) -> datetime | None:
        if not (await self._connection.execute(_POPULATED)).scalar():
            return None
        query = select(stock_metrics_refresh.c.refresh_time)
        time: datetime | None = (await self._connection.execute(query)).scalar()
        return time

    async def scheduled(self) -> bool:
        return bool((await self._connection.execute(select(stock_metrics_refresh.c.scheduled))).scalar())

    async def begin_refresh(self) -> bool:
        return await try_lock(self._connection, Lock.METRICS)

    async def refresh(self) -> None:
        await self._connection.execute(_LIMIT_REFRESH, {"limit": f"{REFRESH_LIMIT_SECONDS}s"})
        await self._connection.execute(_REFRESH)

    async def get(self, sku: str, *, live: bool) -> StockMetrics | None:
        source = _source(live)
        row = (await self._connection.execute(_figures(source).where(source.c.sku == sku))).one_or_none()
        return None if row is None else _metrics(row)

    async def list_metrics(self, size: int, after: str | None, *, live: bool) -> list[StockMetrics]:
        source = _source(live)
        query = _figures(source).order_by(source.c.sku).limit(size)
        if after is not None:
            query = query.where(source.c.sku > after)
        return [_metrics(row) for row in await self._connection.execute(query)]

    async def summary(self, *, live: bool) -> list[StatusSummary]:
        source = _source(live)
        units = source.c.total_quantity
        query = select(
            source.c.status,
            func.count().label("stock_count"),
            func.sum(units).label("quantity"),
            func.sum(source.c.reserved_quantity).label("reserved_quantity"),
            func.round(func.coalesce(func.sum(units * source.c.total_cost), 0), 2).label("total_cost"),
            func.round(func.coalesce(func.sum(units * source.c.expected_profit), 0), 2).label(
                "expected_profit"
            ),
        ).group_by(source.c.status)
        found = {row.status: row for row in await self._connection.execute(query)}
        return [_summary(status, found[status.value]) for status in StockStatus if status.value in found]


def _source(live: bool) -> FromClause:
    return _LIVE if live else _VIEW


def _figures(source: FromClause) -> Select[Any]:
    columns = source.c
    return select(
        columns.sku,
        columns.total_quantity,
        columns.reserved_quantity,
        columns.available_quantity,
        columns.total_cost,
        func.round(columns.expected_profit, 2).label("expected_profit"),
        columns.last_calculated_at,
    )


def _metrics(row: Any) -> StockMetrics:
    return StockMetrics(
        sku=row.sku,
        quantity=row.total_quantity,
        reserved_quantity=row.reserved_quantity,
        available_quantity=row.available_quantity,
        total_cost=row.total_cost,
        expected_profit=row.expected_profit,
        calculate_time=row.last_calculated_at,
    )


def _summary(status: StockStatus, row: Any) -> StatusSummary:
    return StatusSummary(
        status=status,
        stock_count=row.stock_count,
        quantity=row.quantity,
        reserved_quantity=row.reserved_quantity,
        total_cost=row.total_cost,
        expected_profit=row.expected_profit,
    )
