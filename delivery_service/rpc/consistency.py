"""The checks that OpsService.CheckConsistency runs here, by name."""

from collections.abc import AsyncIterator, Callable, Mapping

from delivery_service.application.check_consistency import (
    check_events,
    check_mapping,
    check_outbox,
    check_reservations,
)
from delivery_service.application.ports import Inconsistency, Inventory, Transactions
from servicekit.ops import ConsistencyCheck, Finding


def consistency_checks(transactions: Transactions, inventory: Inventory) -> Mapping[str, ConsistencyCheck]:
    """`mapping`, `events` and `outbox` look at this database, `reservations` asks inventory too."""
    return {
        "mapping": _check("mapping", lambda: check_mapping(transactions)),
        "events": _check("events", lambda: check_events(transactions)),
        "outbox": _check("outbox", lambda: check_outbox(transactions)),
        "reservations": _check("reservations", lambda: check_reservations(transactions, inventory)),
    }


def _check(name: str, look: Callable[[], AsyncIterator[Inconsistency]]) -> ConsistencyCheck:
    async def check() -> AsyncIterator[Finding]:
        async for found in look():
            yield Finding(name, found.subject, found.description, found.facts)

    return check
