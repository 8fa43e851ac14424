"""Gives the ledger its partitions before their months begin."""

from inventory_service.application.ports import UnitOfWork
from inventory_service.domain.ledger import LedgerMonth, missing_months


async def missing_ledger_months(ahead: int, uow: UnitOfWork) -> list[LedgerMonth]:
    """Of this month and the `ahead` ones after it, those that have no partition."""
    return missing_months(uow.now, ahead, await uow.ledger_partitions.attached())


async def months_to_make(ahead: int, uow: UnitOfWork) -> list[LedgerMonth]:
    """Those, and the months of the past whose movements have no partition although they are not archived."""
    # Strays first: whoever has looked for them keeps months from leaving and coming back until it ends. A month
    # archived between the two looks would be taken for one that never had a partition.
    strayed = {month for month in await uow.ledger_partitions.strays() if month < LedgerMonth.of(uow.now)}
    archived = {file.month for file in await uow.ledger_archive.list_archived()}
    return sorted({*await missing_ledger_months(ahead, uow), *(strayed - archived)})


async def prepare_ledger(ahead: int, uow: UnitOfWork) -> LedgerMonth | None:
    """Makes the first partition that is to be made, with what strayed from its month; answers which.

    None where none is missing, or another replica is making it.
    """
    if not await uow.ledger_partitions.begin_change():
        return None
    for month in await months_to_make(ahead, uow):
        await uow.ledger_partitions.make(month)
        await uow.ledger_partitions.attach(month)
        return month
    return None
