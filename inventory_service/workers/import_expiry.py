"""Forgets which rows of old imports were applied, and what streams left behind that never ended."""

from datetime import timedelta

from inventory_service.application.ports import UnitOfWork
from servicekit.persistence.expiry import expiry
from servicekit.persistence.requests import KEPT_DAYS
from servicekit.persistence.transactions import Transactions
from servicekit.polling import Poller

BATCH = 2000
ROWS_KEPT = timedelta(days=KEPT_DAYS)
LINES_KEPT = timedelta(days=1)
"""Longer than any stream may last."""


def import_expiry(transactions: Transactions[UnitOfWork], idle_seconds: float = 3600.0) -> Poller:
    """A poller that deletes, in small batches, what no repeat of an import needs."""

    async def forget() -> int:
        return await transactions.run(
            lambda uow: uow.imports.forget(ROWS_KEPT, LINES_KEPT, BATCH), repeatable=True
        )

    return expiry("import_expiry", forget, idle_seconds)
