"""Forgets, a batch at a time, what is older than anybody asks for."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from servicekit.persistence.requests import KEPT_DAYS, WithRequests
from servicekit.persistence.transactions import Transactions
from servicekit.polling import Poller

BATCH = 500

U = TypeVar("U", bound=WithRequests)


def expiry(name: str, forget: Callable[[], Awaitable[int]], idle_seconds: float = 3600.0) -> Poller:
    """A poller that forgets until nothing old is left, then pauses; safe with many replicas.

    `forget` answers how many it took. A batch that is not full is not taken for the last one: it may have left out
    what somebody else had locked in that instant.
    """

    async def step() -> bool:
        return await forget() > 0

    return Poller(name, step, idle_seconds=idle_seconds)


def request_expiry(transactions: Transactions[U], idle_seconds: float = 3600.0) -> Poller:
    """The same for requests that nobody will repeat any more."""

    async def forget() -> int:
        age = timedelta(days=KEPT_DAYS)
        return await transactions.run(lambda uow: uow.requests.forget(age, BATCH), repeatable=True)

    return expiry("request_expiry", forget, idle_seconds)
