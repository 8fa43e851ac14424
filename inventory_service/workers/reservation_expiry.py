"""Gives units back whose holds are past their time. A tidy-up: no sale ever waits for it."""

from functools import partial

from inventory_service.application.answer_wishes import expire_due_reservations
from inventory_service.application.ports import UnitOfWork
from servicekit.polling import Poller
from servicekit.transactions import Transactions

BATCH = 100


def reservation_expiry(transactions: Transactions[UnitOfWork], idle_seconds: float) -> Poller:
    """A poller that sweeps at least every `idle_seconds`; safe with any number of replicas."""

    async def step() -> bool:
        # A look without locks first: most of the time there is nothing to sweep.
        if not await transactions.read(lambda uow: uow.reservations.list_due(1)):
            return False
        swept = await transactions.run(
            partial(expire_due_reservations, BATCH), name="expire", repeatable=True
        )
        return swept == BATCH

    return Poller("reservation_expiry", step, idle_seconds=idle_seconds)
