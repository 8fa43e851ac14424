"""Says why so much of a stock is available."""

from inventory_service.application.ports import MovementFilter, UnitOfWork
from inventory_service.application.reads import get_stock
from inventory_service.domain.availability import Explanation

MOST_HOLDS = 1000
MOST_MOVEMENTS = 20


async def explain_availability(sku: str, uow: UnitOfWork) -> Explanation:
    """The stock's numbers and what they are made of; needs a transaction that sees one snapshot.

    Raises StockNotFound.
    """
    stock = await get_stock(sku, uow)
    due = await uow.reservations.due_quantities([sku])
    return Explanation(
        sku=sku,
        quantity=stock.quantity,
        reserved=stock.reserved_quantity - due.get(sku, 0),
        ledger=await uow.movements.total(stock.stock_id),
        archived=await uow.movements.archived_total(stock.stock_id),
        holds=tuple(await uow.reservations.list_holds(sku, MOST_HOLDS)),
        movements=tuple(await uow.movements.list_movements(MovementFilter(sku=sku), MOST_MOVEMENTS, None)),
    )
