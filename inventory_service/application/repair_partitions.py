"""The partition of a month of the ledger, made when an operator asks and not at the service's next look of a day."""

from inventory_service.application.ports import UnitOfWork
from inventory_service.application.prepare_ledger import months_to_make
from inventory_service.application.repair_ports import Inconsistency
from inventory_service.application.repairing import NothingToRepair, RepairByHand
from inventory_service.domain.ledger import LedgerMonth


async def repair_partition(found: Inconsistency, uow: UnitOfWork) -> str:
    """The subject is the month; what strayed from it comes home."""
    month, partitions = LedgerMonth.parse(found.subject), uow.ledger_partitions
    if not await partitions.begin_change():
        raise RepairByHand("somebody else changes the ledger's months right now; run it again")
    if month not in await months_to_make(1, uow):
        if month not in await partitions.strays():
            raise NothingToRepair
        raise RepairByHand(
            "movements of an archived month are taken in by `inventory-service archive restore`; movements of months"
            " to come mean a clock that is wrong"
        )
    if await partitions.is_named(month):
        raise RepairByHand("a table with the name of its partition is there and no part of the ledger")
    await partitions.make(month)
    await partitions.attach(month)
    return f"the ledger has a partition for {month}"
