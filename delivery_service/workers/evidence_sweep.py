"""Takes away photos that prove nothing: one folder of the store and one batch of records a step."""

import itertools
import random
from datetime import timedelta

from delivery_service.application.photo_ports import PhotoStore
from delivery_service.application.ports import Transactions
from delivery_service.application.sweep_evidence import FOLDERS, sweep_strays, sweep_unused
from servicekit.polling import Poller


def evidence_sweep(
    transactions: Transactions, store: PhotoStore, *, unused_days: float, idle_seconds: float
) -> Poller:
    """A poller that goes round all folders; it begins anywhere, so that replicas do not walk in step."""
    folders = itertools.cycle(random.sample(FOLDERS, len(FOLDERS)))

    async def step() -> bool:
        await sweep_strays(transactions, store, next(folders))
        # A short batch may have left out what somebody else had locked.
        return await sweep_unused(transactions, store, timedelta(days=unused_days)) > 0

    return Poller("evidence_sweep", step, idle_seconds=idle_seconds)
