"""Names those who stand in the way of a change."""

from dataclasses import replace
from datetime import datetime

from inventory_service.application.ports import UnitOfWork
from inventory_service.domain.errors import Refusal, StockHasHolds

MOST_HOLDERS_NAMED = 20


async def named(refusal: Refusal, now: datetime, uow: UnitOfWork) -> Refusal:
    """The refusal, with the oldest holds in it where it is about holds; `now` is the time of the book."""
    if not isinstance(refusal, StockHasHolds):
        return refusal
    holders = await uow.reservations.list_holders(refusal.sku, now, MOST_HOLDERS_NAMED)
    return replace(refusal, holders=tuple(holders))
