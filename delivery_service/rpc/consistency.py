"""The checks that OpsService runs here, by name."""

from collections.abc import AsyncIterator, Callable, Mapping

from delivery_service.application.check_consistency import (
    check_events,
    check_mapping,
    check_orders,
    check_outbox,
    check_proofs,
)
from delivery_service.application.check_evidence import check_photos
from delivery_service.application.check_reservations import check_reservations
from delivery_service.application.consistency_ports import Inconsistency
from delivery_service.application.photo_ports import PhotoReader, PhotoStore
from delivery_service.application.stock_ports import Inventory
from delivery_service.rpc.request_unit_of_work import RequestUnitOfWork
from servicekit.operations.consistency import ConsistencyCheck, Finding
from servicekit.persistence.transactions import Transactions

Checks = Mapping[str, Callable[[], AsyncIterator[Inconsistency]]]


def checks_of(
    transactions: Transactions[RequestUnitOfWork],
    inventory: Inventory,
    photos: PhotoStore,
    reader: PhotoReader,
) -> Checks:
    """`reservations` asks inventory too, `photos` reads every photo; the others look at this database.

    In this order they are repaired: where a package is decides which legs it takes and what its stock should be.
    """
    return {
        "events": lambda: check_events(transactions),
        "mapping": lambda: check_mapping(transactions),
        "orders": lambda: check_orders(transactions),
        "proofs": lambda: check_proofs(transactions),
        "outbox": lambda: check_outbox(transactions),
        "reservations": lambda: check_reservations(transactions, inventory),
        "photos": lambda: check_photos(transactions, photos, reader),
    }


def consistency_checks(checks: Checks) -> Mapping[str, ConsistencyCheck]:
    """The checks as OpsService runs them."""
    return {name: _check(name, look) for name, look in checks.items()}


def _check(name: str, look: Callable[[], AsyncIterator[Inconsistency]]) -> ConsistencyCheck:
    async def check() -> AsyncIterator[Finding]:
        async for found in look():
            yield finding(name, found)

    return check


def finding(check: str, found: Inconsistency) -> Finding:
    """The inconsistency as OpsService tells it."""
    return Finding(check, found.subject, found.description, found.facts)
