"""Gives units back whose holds are past their time. A tidy-up: no sale ever waits for it."""

import time
from functools import partial

import structlog

from inventory_service.application.expire_due_reservations import expire_due_reservations
from inventory_service.application.ports import UnitOfWork
from servicekit.persistence.transactions import Transactions
from servicekit.polling import Poller

BATCH = 100
PASSED_SECONDS = 60.0
"""How long a hold is passed over that could not be given back, before it is tried, and logged, again."""
LOCKED_SECONDS = 1.0
"""How long one is that somebody else has in hand, so that those after it have their turn."""

log = structlog.get_logger("reservation_expiry")


def reservation_expiry(transactions: Transactions[UnitOfWork], idle_seconds: float) -> Poller:
    """A poller that sweeps at least every `idle_seconds`; safe with any number of replicas."""
    passed: dict[str, float] = {}

    async def step() -> bool:
        now = time.monotonic()
        for reservation_id in [key for key, until in passed.items() if until < now]:
            del passed[reservation_id]
        # A look without locks first: most of the time there is nothing to sweep.
        if not await transactions.read(lambda uow: uow.reservations.list_due(1, tuple(passed))):
            return False
        swept = await transactions.run(
            partial(expire_due_reservations, BATCH, passed=tuple(passed)), name="expire", repeatable=True
        )
        for reservation_id, error in swept.kept.items():
            log.warning("a hold cannot expire", reservation_id=reservation_id, error=str(error))
            passed[reservation_id] = now + PASSED_SECONDS
        passed.update(dict.fromkeys(swept.locked, now + LOCKED_SECONDS))
        return swept.due == BATCH

    return Poller("reservation_expiry", step, idle_seconds=idle_seconds)
