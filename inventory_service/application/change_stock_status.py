"""Moves a stock to another status."""

from inventory_service.application.holders import with_holders
from inventory_service.application.ports import UnitOfWork
from inventory_service.application.reads import get_stock
from inventory_service.domain import stock_changes
from inventory_service.domain.commands import ChangeStockStatus
from inventory_service.domain.errors import Refusal
from inventory_service.domain.stock import StatusChange, Stock


async def change_stock_status(command: ChangeStockStatus, uow: UnitOfWork) -> Stock:
    """The stock in its new status, the change in its history.

    Holds that are past their time are expired first where they are in the way. Raises StockNotFound,
    EtagMismatch, IllegalStatusChange, StockHasHolds.
    """
    book = await uow.books.open([command])
    outcome = stock_changes.change_status(book, command)
    if isinstance(outcome, Refusal):
        raise await with_holders(outcome, book.now, uow)
    await uow.books.save(book)
    change = StatusChange(outcome.status, command.status, book.now, command.reason or None)
    await uow.stocks.enter_status(outcome.stock_id, change, book.now)
    return await get_stock(command.sku, uow)
