"""Forgets requests that nobody will repeat any more."""

from datetime import timedelta

from servicekit.mutations import U
from servicekit.polling import Poller
from servicekit.requests import KEPT_DAYS
from servicekit.transactions import Transactions

BATCH = 500


def request_expiry(transactions: Transactions[U], idle_seconds: float = 3600.0) -> Poller:
    """A poller that deletes, in small batches, what is older than the log keeps; safe with many replicas."""

    async def step() -> bool:
        age = timedelta(days=KEPT_DAYS)
        forgotten = await transactions.run(lambda uow: uow.requests.forget(age, BATCH), repeatable=True)
        return forgotten > 0  # a short batch may have left out what somebody else had locked

    return Poller("request_expiry", step, idle_seconds=idle_seconds)
