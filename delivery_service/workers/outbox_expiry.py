"""Forgets commands that inventory has carried out long ago."""

from datetime import timedelta

from delivery_service.application.ports import Transactions, UnitOfWork
from servicekit.polling import Poller

BATCH = 500
KEPT_DAYS = 30


def outbox_expiry(transactions: Transactions, idle_seconds: float = 3600.0) -> Poller:
    """A poller that deletes, in small batches, what is older than the outbox keeps; safe with many replicas."""

    async def forget(uow: UnitOfWork) -> int:
        return await uow.outbox.forget_done(timedelta(days=KEPT_DAYS), BATCH)

    async def step() -> bool:
        # A short batch may have left out what somebody else had locked.
        return await transactions.run(forget) > 0

    return Poller("outbox_expiry", step, idle_seconds=idle_seconds)
