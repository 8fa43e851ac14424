"""Forgets commands that inventory has carried out long ago."""

from datetime import timedelta

from delivery_service.application.ports import Transactions, UnitOfWork
from servicekit.persistence.expiry import expiry
from servicekit.polling import Poller

BATCH = 500
KEPT_DAYS = 30


def outbox_expiry(transactions: Transactions, idle_seconds: float = 3600.0) -> Poller:
    """A poller that deletes, in small batches, what is older than the outbox keeps."""

    async def work(uow: UnitOfWork) -> int:
        return await uow.outbox.forget_done(timedelta(days=KEPT_DAYS), BATCH)

    async def forget() -> int:
        return await transactions.run(work)

    return expiry("outbox_expiry", forget, idle_seconds)
