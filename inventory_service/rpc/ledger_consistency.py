"""The check that every movement has a partition of its own, and that those of now and of next month are there."""

from collections.abc import AsyncIterator, Mapping
from functools import partial

from inventory_service.application.ports import UnitOfWork
from inventory_service.application.prepare_ledger import missing_ledger_months
from inventory_service.domain.ledger import LedgerMonth
from servicekit.operations.consistency import ConsistencyCheck, Finding
from servicekit.persistence.transactions import Transactions


def partitions_check(transactions: Transactions[UnitOfWork]) -> ConsistencyCheck:
    """Looks at the ledger's partitions. Nothing that it finds makes a quantity wrong."""

    async def check() -> AsyncIterator[Finding]:
        for month in await transactions.read(partial(missing_ledger_months, 1)):
            yield Finding("partitions", str(month), f"the ledger has no partition for {month}", {})
        strays, archived = await transactions.read(_strays)
        for month, count in strays.items():
            why = (
                "came after their month was archived"
                if month in archived
                else "have no partition of their own"
            )
            yield Finding("partitions", str(month), f"{count} movements {why}", {"movements": str(count)})

    return check


async def _strays(uow: UnitOfWork) -> tuple[Mapping[LedgerMonth, int], set[LedgerMonth]]:
    archived = {file.month for file in await uow.ledger_archive.list_archived()}
    return await uow.ledger_partitions.strays(), archived
