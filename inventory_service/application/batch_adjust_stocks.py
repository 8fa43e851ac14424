"""Adjusts many stocks, all or none."""

from collections.abc import Sequence

from inventory_service.application.holders import all_with_holders
from inventory_service.application.ports import UnitOfWork
from inventory_service.domain import stock_changes
from inventory_service.domain.commands import AdjustStock
from inventory_service.domain.errors import Refusal, StockNotFound
from inventory_service.domain.movement import RecordedMovement
from inventory_service.domain.stock import Stock


async def batch_adjust_stocks(
    commands: Sequence[AdjustStock], uow: UnitOfWork
) -> tuple[list[Stock], list[RecordedMovement]]:
    """The stocks after all adjustments, each once, and the entries of the ledger in the order of the commands.

    Each command meets what the ones before it left. Raises StockNotFound with every unknown sku, else the first
    refusal of adjust_stock, the others beside it.
    """
    book = await uow.books.open(commands)
    outcomes = [stock_changes.adjust(book, command) for command in commands]
    refusals = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
    unknown = dict.fromkeys(
        sku for refusal in refusals if isinstance(refusal, StockNotFound) for sku in refusal.skus
    )
    if unknown:
        raise StockNotFound(tuple(unknown))
    if refusals:
        first, *others = await all_with_holders(refusals, book.now, uow)
        first.also = tuple(others)
        raise first
    movements = await uow.books.save(book)
    skus = list(dict.fromkeys(command.sku for command in commands))
    stocks = await uow.stocks.get_many(skus)
    return [stocks[sku] for sku in skus], movements
