"""Sets a stock to what was counted."""

from inventory_service.application.holders import with_holders
from inventory_service.application.ports import UnitOfWork
from inventory_service.application.reads import get_stock
from inventory_service.domain import stock_changes
from inventory_service.domain.commands import SetStockQuantity
from inventory_service.domain.errors import Refusal
from inventory_service.domain.movement import RecordedMovement
from inventory_service.domain.stock import Stock


async def set_stock_quantity(
    command: SetStockQuantity, uow: UnitOfWork
) -> tuple[Stock, RecordedMovement | None]:
    """The stock after the count, and the correction in the ledger; None where the count agreed.

    Raises StockNotFound, QuantityMismatch, StockHasHolds.
    """
    book = await uow.books.open([command])
    outcome = stock_changes.count(book, command)
    if isinstance(outcome, Refusal):
        raise await with_holders(outcome, book.now, uow)
    movements = await uow.books.save(book)
    return await get_stock(command.sku, uow), movements[0] if movements else None
