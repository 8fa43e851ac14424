"""Removes a stock."""

from inventory_service.application.holders import with_holders
from inventory_service.application.ports import UnitOfWork
from inventory_service.domain import stock_changes
from inventory_service.domain.commands import DeleteStock
from inventory_service.domain.errors import Refusal


async def delete_stock(command: DeleteStock, uow: UnitOfWork) -> None:
    """Removes the stock; its movements and the lines of its reservations stay, under its sku.

    Raises StockNotFound, EtagMismatch, StockHasHolds, QuantityMismatch.
    """
    book = await uow.books.open([command])
    outcome = stock_changes.delete(book, command)
    if isinstance(outcome, Refusal):
        raise await with_holders(outcome, book.now, uow)
    await uow.books.save(book)
    await uow.stocks.remove(outcome.stock_id, book.now)
