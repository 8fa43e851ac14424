"""Adds units to a stock or takes some away."""

from inventory_service.application.holders import with_holders
from inventory_service.application.ports import UnitOfWork
from inventory_service.application.reads import get_stock
from inventory_service.domain import stock_changes
from inventory_service.domain.commands import AdjustStock
from inventory_service.domain.errors import Refusal
from inventory_service.domain.movement import RecordedMovement
from inventory_service.domain.stock import Stock


async def adjust_stock(command: AdjustStock, uow: UnitOfWork) -> tuple[Stock, RecordedMovement]:
    """The stock after the adjustment, and the entry of the ledger that records it.

    Holds that are past their time are expired first where they are in the way. Raises StockNotFound,
    EtagMismatch, StockHasHolds, InsufficientStock, StockLimitExceeded.
    """
    book = await uow.books.open([command])
    outcome = stock_changes.adjust(book, command)
    if isinstance(outcome, Refusal):
        raise await with_holders(outcome, book.now, uow)
    [movement] = await uow.books.save(book)
    return await get_stock(command.sku, uow), movement
