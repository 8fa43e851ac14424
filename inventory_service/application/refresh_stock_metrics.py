"""Refreshes the view of computed figures, one at a time."""

from datetime import datetime

from inventory_service.application.ports import UnitOfWork


async def refresh_stock_metrics(seen: datetime | None, uow: UnitOfWork) -> datetime | None:
    """The time of the snapshot that the view now shows; None while another transaction refreshes it.

    A view that was refreshed since its time was `seen` is left as it is.
    """
    if not await uow.metrics.begin_refresh():
        return None
    current = await uow.metrics.refresh_time()
    if current is not None and current != seen:
        return current
    await uow.metrics.refresh()
    return await uow.metrics.refresh_time()
