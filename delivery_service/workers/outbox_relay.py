"""Looks for due commands in the outbox; a nudge after a commit makes it look at once, looking alone suffices."""

from collections.abc import Callable

from delivery_service.application.ports import Inventory, Transactions
from delivery_service.application.settle_stock import settle_due
from servicekit.polling import Poller


def outbox_relay(
    transactions: Transactions,
    inventory: Inventory,
    notify: Callable[[str], None],
    idle_seconds: float,
    lease_seconds: float,
) -> Poller:
    """The poller that settles what is due; safe beside any number of others."""

    async def step() -> bool:
        return await settle_due(transactions, inventory, notify, lease_seconds)

    return Poller("outbox_relay", step, idle_seconds=idle_seconds)
