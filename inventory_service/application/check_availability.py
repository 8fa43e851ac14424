"""Says what could be reserved now."""

from collections.abc import Mapping

from inventory_service.application.ports import UnitOfWork
from inventory_service.domain.availability import LineAvailability, line_availability


async def check_availability(quantities: Mapping[str, int], uow: UnitOfWork) -> list[LineAvailability]:
    """Each sku judged, in the order given; needs a transaction that sees one snapshot."""
    skus = list(quantities)
    stocks = await uow.stocks.get_many(skus)
    due = await uow.reservations.due_quantities(skus)
    return [line_availability(sku, units, stocks.get(sku), due) for sku, units in quantities.items()]
