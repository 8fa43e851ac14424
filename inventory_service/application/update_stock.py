"""Changes what is known of a stock."""

from inventory_service.application.ports import UnitOfWork
from inventory_service.application.reads import get_stock
from inventory_service.domain.commands import UpdateStock
from inventory_service.domain.stock import Stock


async def update_stock(command: UpdateStock, uow: UnitOfWork) -> Stock:
    """The stock with the changes. Raises StockNotFound, EtagMismatch."""
    book = await uow.books.open([command])
    level = book.level(command.sku, command.expected_version)
    await uow.stocks.update(level.stock_id, command.changes, book.now)
    return await get_stock(command.sku, uow)
