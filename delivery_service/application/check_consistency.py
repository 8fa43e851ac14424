"""Looks for records that must agree and do not. Streams what it finds, in bounded memory, and repairs nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from datetime import timedelta

from delivery_service.application.consistency_ports import Drift, Inconsistency, Looked
from delivery_service.application.ports import Transactions, UnitOfWork
from delivery_service.application.projections import projections_of
from delivery_service.domain.workflow import PackageState

BATCH = 200
OVERDUE = timedelta(minutes=5)
"""How long a command may take before it is a finding."""


async def check_events(transactions: Transactions) -> AsyncIterator[Inconsistency]:
    """Packages that are not what their events made of them: state, driver, times of steps; and lost events."""

    async def look(uow: UnitOfWork, after: int) -> Looked:
        return await uow.consistency.event_differences(after, BATCH)

    async for found in all_found(transactions, look):
        yield found


async def check_mapping(transactions: Transactions) -> AsyncIterator[Inconsistency]:
    """Packages whose orders are not those of their `order_ids` projection, or whose legs are not free or taken."""

    async def look(uow: UnitOfWork, after: int) -> Looked:
        return await uow.consistency.mapping_differences(after, BATCH)

    async def look_for_gone(uow: UnitOfWork, after: int) -> Looked:
        return await uow.consistency.vanished_packages(after, BATCH)

    for one in (look, look_for_gone):
        async for found in all_found(transactions, one):
            yield found


async def check_orders(transactions: Transactions) -> AsyncIterator[Inconsistency]:
    """Orders that cannot be read, and orders that old readers do not see where their packages are."""

    async def look_for_unreadable(uow: UnitOfWork, after: int) -> Looked:
        return await uow.consistency.unreadable_orders(after, BATCH)

    async def look(uow: UnitOfWork, after: int) -> Looked:
        last, followed = await uow.consistency.followed_orders(after, BATCH)
        return last, await unprojected(followed, uow) if followed else []

    for one in (look_for_unreadable, look):
        async for found in all_found(transactions, one):
            yield found


async def unprojected(order_ids: Collection[int], uow: UnitOfWork) -> list[Inconsistency]:
    """Those of the orders that old readers do not see where they are."""
    orders = await uow.orders.list_by_ids(order_ids)
    projected = await uow.orders.seen_as(order_ids)
    right = await projections_of(orders, uow)
    found = []
    for order in orders:
        seen, should = projected[order.order_id], right[order.order_id]
        if (order.status, seen) != (should.status, should.furthest or PackageState.PENDING):
            facts = {
                "order_status": order.status,
                "shipping_status": seen or "none",
                "should_be": f"{should.status}, {should.furthest or PackageState.PENDING}",
            }
            description = "old readers do not see the order where its packages are"
            found.append(Inconsistency(Drift.PROJECTION, str(order.order_id), description, facts))
    return found


async def check_proofs(transactions: Transactions) -> AsyncIterator[Inconsistency]:
    """Events whose photos are gone or not marked as used, and photos that are marked for nothing."""

    async def look(uow: UnitOfWork, after: int) -> Looked:
        return await uow.consistency.proof_differences(after, BATCH)

    async for found in all_found(transactions, look):
        yield found


async def check_outbox(transactions: Transactions) -> AsyncIterator[Inconsistency]:
    """Commands that are parked, which wait for people, and others that take too long."""

    async def look(uow: UnitOfWork, after: int) -> Looked:
        return await uow.consistency.stuck_commands(after, BATCH, OVERDUE)

    async for found in all_found(transactions, look):
        yield found


async def all_found(
    transactions: Transactions, look: Callable[[UnitOfWork, int], Awaitable[Looked]]
) -> AsyncIterator[Inconsistency]:
    """Looks at page after page, each as of one instant: what moves in between would differ from its own events."""
    after: int | None = 0
    while after is not None:

        async def page(uow: UnitOfWork, after: int = after) -> Looked:
            return await look(uow, after)

        after, found = await transactions.read(page, one_snapshot=True)
        for inconsistency in found:
            yield inconsistency
