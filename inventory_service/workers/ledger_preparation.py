"""Makes the ledger's partitions ahead of time, one a transaction, and tells of movements that have none."""

from collections.abc import Mapping
from functools import partial

import structlog

from inventory_service.application.ports import UnitOfWork
from inventory_service.application.prepare_ledger import months_to_make, prepare_ledger
from inventory_service.domain.ledger import LedgerMonth
from servicekit.persistence.transactions import Transactions
from servicekit.polling import Poller

DAY_SECONDS = 86_400.0

log = structlog.get_logger("ledger_preparation")


def ledger_preparation(
    transactions: Transactions[UnitOfWork], months_ahead: int, idle_seconds: float = DAY_SECONDS
) -> Poller:
    """A poller that looks once a day; safe with any number of replicas."""

    async def step() -> bool:
        if not await transactions.read(partial(months_to_make, months_ahead)):
            strays = await transactions.read(_strays)
            for month, count in strays.items():
                log.warning("movements have no partition of their own", month=str(month), movements=count)
            return False
        made = await transactions.run(partial(prepare_ledger, months_ahead), name="prepare", repeatable=True)
        if made is not None:
            log.info("partition made", month=str(made))
        return made is not None

    return Poller("ledger_preparation", step, idle_seconds=idle_seconds)


async def _strays(uow: UnitOfWork) -> Mapping[LedgerMonth, int]:
    return await uow.ledger_partitions.strays()
