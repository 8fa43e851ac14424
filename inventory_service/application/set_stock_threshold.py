"""Sets when a stock, or every stock without a threshold of its own, counts as low."""

from dataclasses import dataclass

from inventory_service.application.ports import UnitOfWork
from inventory_service.domain.errors import StockNotFound


@dataclass(frozen=True)
class SetStockThreshold:
    """Low at or below so many available units; a threshold of None removes it, a sku of None means all stocks."""

    sku: str | None
    threshold: int | None


async def set_stock_threshold(command: SetStockThreshold, uow: UnitOfWork) -> int | None:
    """The threshold that now counts, None where none does. Raises StockNotFound."""
    if command.sku is None:
        await uow.low_stocks.set_default(command.threshold, uow.now)
        return command.threshold
    stock_id = await uow.low_stocks.lock_stock(command.sku)
    if stock_id is None:
        raise StockNotFound((command.sku,))
    await uow.low_stocks.set_threshold(stock_id, command.threshold)
    return await uow.low_stocks.get_default() if command.threshold is None else command.threshold
