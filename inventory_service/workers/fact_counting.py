"""Keeps the daily facts up to the ledger. No command waits for it, and it catches up after any pause."""

from functools import partial

import structlog

from inventory_service.application.count_movements import count_movements
from inventory_service.application.ports import UnitOfWork
from servicekit.persistence.transactions import Transactions
from servicekit.polling import Poller

BATCH = 2000

log = structlog.get_logger("fact_counting")


def fact_counting(transactions: Transactions[UnitOfWork], idle_seconds: float) -> Poller:
    """A poller that counts at least every `idle_seconds`; safe with any number of replicas."""

    async def step() -> bool:
        # A look without the lock first: most of the time one replica has counted for all.
        if not await transactions.read(lambda uow: uow.daily_facts.uncounted()):
            return False
        done = await transactions.run(partial(count_movements, BATCH), name="facts", repeatable=True)
        behind = done.counted == BATCH
        if behind:
            log.info(
                "catching up with the ledger",
                counted=done.counted,
                through=done.through_time.isoformat(),
            )
        return behind

    return Poller("fact_counting", step, idle_seconds=idle_seconds)
