"""Follows what the old application writes, until it is gone."""

from delivery_service.application.follow_legacy_writes import BATCH, follow_legacy_writes
from delivery_service.application.ports import Transactions
from servicekit.polling import Poller


def legacy_following(transactions: Transactions, idle_seconds: float) -> Poller:
    """A poller that follows a batch a step; safe beside any number of others."""

    async def step() -> bool:
        return await follow_legacy_writes(transactions) == BATCH

    return Poller("legacy_following", step, idle_seconds=idle_seconds)
