"""Reads computed figures, from the view or live: each answer with the time of the snapshot that it shows."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from inventory_service.application.ports import UnitOfWork
from inventory_service.domain.errors import StockNotFound
from inventory_service.domain.stock_metrics import StatusSummary, StockMetrics


async def get_stock_metrics(
    sku: str, max_staleness: timedelta | None, uow: UnitOfWork
) -> tuple[StockMetrics, datetime]:
    """The figures of one stock; of one that the view does not have yet, live. Raises StockNotFound."""
    live, refresh_time = await _source(max_staleness, uow)
    found = await uow.metrics.get(sku, live=live)
    if found is None and not live:
        refresh_time = uow.now
        found = await uow.metrics.get(sku, live=True)
    if found is None:
        raise StockNotFound((sku,))
    return found, refresh_time


async def list_stock_metrics(
    size: int, after: str | None, max_staleness: timedelta | None, uow: UnitOfWork
) -> tuple[Sequence[StockMetrics], datetime]:
    """The figures of at most `size` stocks behind the sku `after`, by sku."""
    live, refresh_time = await _source(max_staleness, uow)
    return await uow.metrics.list_metrics(size, after, live=live), refresh_time


async def get_inventory_summary(
    max_staleness: timedelta | None, uow: UnitOfWork
) -> tuple[Sequence[StatusSummary], datetime]:
    """The sums of each status that has stocks."""
    live, refresh_time = await _source(max_staleness, uow)
    return await uow.metrics.summary(live=live), refresh_time


async def _source(max_staleness: timedelta | None, uow: UnitOfWork) -> tuple[bool, datetime]:
    """Whether to compute live, and the time of what will be shown."""
    refreshed = await uow.metrics.refresh_time()
    if refreshed is None or (max_staleness is not None and uow.now - refreshed > max_staleness):
        return True, uow.now
    return False, refreshed
