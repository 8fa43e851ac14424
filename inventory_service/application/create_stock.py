"""Creates a stock."""

from dataclasses import dataclass

from inventory_service.application.ports import UnitOfWork
from inventory_service.application.reads import get_stock
from inventory_service.domain.commands import Actor
from inventory_service.domain.errors import StockExists
from inventory_service.domain.movement import Movement, MovementReason
from inventory_service.domain.stock import Stock, StockDetails, StockStatus


@dataclass(frozen=True)
class CreateStock:
    """A new stock with so many units on the shelf, none of them held."""

    sku: str
    quantity: int
    status: StockStatus
    details: StockDetails
    actor: Actor


async def create_stock(command: CreateStock, uow: UnitOfWork) -> Stock:
    """Adds the stock and opens its ledger. Raises StockExists."""
    stock_id = await uow.stocks.add(command.sku, command.quantity, command.status, command.details)
    if stock_id is None:
        raise StockExists(command.sku)
    if command.quantity:
        await uow.movements.add(
            [Movement(stock_id, command.sku, command.quantity, MovementReason.OPENING, command.actor.name)],
            uow.now,
        )
    return await get_stock(command.sku, uow)
