"""Names those who stand in the way of a change."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from inventory_service.application.ports import UnitOfWork
from inventory_service.domain.errors import Refusal, StockHasHolds

MOST_HOLDERS_NAMED = 20


async def with_holders(refusal: Refusal, now: datetime, uow: UnitOfWork) -> Refusal:
    """The refusal, with the oldest holds in it where it is about holds; `now` is the time of the book."""
    [told] = await all_with_holders([refusal], now, uow)
    return told


async def all_with_holders(refusals: Sequence[Refusal], now: datetime, uow: UnitOfWork) -> list[Refusal]:
    """The refusals in their order, each as `with_holders` tells it; asks once for all of them."""
    skus = {refusal.sku for refusal in refusals if isinstance(refusal, StockHasHolds)}
    holders = await uow.reservations.list_holders(skus, now, MOST_HOLDERS_NAMED) if skus else {}
    return [
        replace(refusal, holders=tuple(holders.get(refusal.sku, ())))
        if isinstance(refusal, StockHasHolds)
        else refusal
        for refusal in refusals
    ]
