"""Refreshes the view of computed figures, one at a time."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from inventory_service.application.ports import UnitOfWork

Due = Callable[[UnitOfWork], Awaitable[bool]]
"""Whether the view is to be refreshed, judged by what it says of itself now."""


async def refresh_stock_metrics(due: Due, uow: UnitOfWork) -> datetime | None:
    """The time of the snapshot that the view now shows; None while another transaction refreshes it.

    It is judged where no other can refresh it: a view that another did a moment ago is left as it is.
    """
    if not await uow.metrics.begin_refresh():
        return None
    if await due(uow):
        await uow.metrics.refresh()
    return await uow.metrics.refresh_time()
