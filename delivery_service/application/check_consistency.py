"""Looks for records that must agree and do not. Streams what it finds, in bounded memory, and repairs nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta

from delivery_service.application.consistency_ports import Drift, Inconsistency, Looked
from delivery_service.application.ports import Transactions, UnitOfWork
from delivery_service.application.stock_ports import Hold, Inventory, InventoryUnreachable
from delivery_service.domain.drift import StockRepair, stock_repair
from delivery_service.domain.package import Package

BATCH = 200
AT_ONCE = 8
OVERDUE = timedelta(minutes=5)
"""How long a command may take before it is a finding."""


async def check_mapping(transactions: Transactions) -> AsyncIterator[Inconsistency]:
    """Packages whose orders are not those of their `order_ids` projection, or whose legs are not free or taken."""

    async def look(uow: UnitOfWork, after: int) -> Looked:
        return await uow.consistency.mapping_differences(after, BATCH)

    async for found in _all(transactions, look):
        yield found


async def check_events(transactions: Transactions) -> AsyncIterator[Inconsistency]:
    """Packages whose state is not where their last event led, or whose timeline has gaps."""

    async def look(uow: UnitOfWork, after: int) -> Looked:
        return await uow.consistency.event_differences(after, BATCH)

    async for found in _all(transactions, look):
        yield found


async def check_proofs(transactions: Transactions) -> AsyncIterator[Inconsistency]:
    """Events whose photos are gone, or are not marked as used, so that they could prove something else too."""

    async def look(uow: UnitOfWork, after: int) -> Looked:
        return await uow.consistency.proof_differences(after, BATCH)

    async for found in _all(transactions, look):
        yield found


async def check_outbox(transactions: Transactions) -> AsyncIterator[Inconsistency]:
    """Commands that inventory refused and that wait for people, and others that take too long."""

    async def look(uow: UnitOfWork, after: int) -> Looked:
        return await uow.consistency.stuck_commands(after, BATCH, OVERDUE)

    async for found in _all(transactions, look):
        yield found


async def check_reservations(
    transactions: Transactions, inventory: Inventory
) -> AsyncIterator[Inconsistency]:
    """Holds without a package that wants them, and packages without the hold they need.

    A package of which a command is under way is not compared: it is about to change, and `check_outbox` tells where
    a command is stuck. Holds are read before their packages: a package is committed before its hold exists.
    """
    try:
        page: list[Hold] = []
        async for hold in inventory.holds():
            page.append(hold)
            if len(page) == BATCH:
                async for found in _orphans(page, inventory, transactions):
                    yield found
                page = []
        async for found in _orphans(page, inventory, transactions):
            yield found
        async for found in _packages_against(inventory, transactions):
            yield found
    except InventoryUnreachable as error:
        description = "unknown: inventory could not be asked, so nothing is known about holds"
        yield Inconsistency(Drift.UNKNOWN, "inventory", description, {"error": str(error)})


async def _all(
    transactions: Transactions, look: Callable[[UnitOfWork, int], Awaitable[Looked]]
) -> AsyncIterator[Inconsistency]:
    after: int | None = 0
    while after is not None:

        async def page(uow: UnitOfWork, after: int = after) -> Looked:
            return await look(uow, after)

        after, found = await transactions.read(page)
        for inconsistency in found:
            yield inconsistency


async def _orphans(
    holds: Sequence[Hold], inventory: Inventory, transactions: Transactions
) -> AsyncIterator[Inconsistency]:
    """Holds under an id that no package bears now; those of packages are compared with these."""
    if not holds:
        return
    packages = await _with_reservations([hold.reservation_id for hold in holds], transactions)
    known = {package.reservation_id for package in packages}
    for hold in holds:
        if hold.reservation_id not in known:
            found = await _compare(hold.reservation_id, None, inventory, transactions)
            if found is not None:
                yield found


async def _packages_against(inventory: Inventory, transactions: Transactions) -> AsyncIterator[Inconsistency]:
    after = 0
    while True:

        async def page(uow: UnitOfWork, after: int = after) -> tuple[list[Package], set[int]]:
            packages = await uow.consistency.tracked_packages(after, BATCH)
            return packages, await uow.outbox.unfinished([package.package_id for package in packages])

        packages, under_way = await transactions.read(page)
        if not packages:
            return
        after = packages[-1].package_id
        settled = [package for package in packages if package.package_id not in under_way]
        for start in range(0, len(settled), AT_ONCE):
            some = settled[start : start + AT_ONCE]
            compared = (_compare(p.reservation_id or "", p, inventory, transactions) for p in some)
            for found in await asyncio.gather(*compared):
                if found is not None:
                    yield found


async def _compare(
    reservation_id: str, package: Package | None, inventory: Inventory, transactions: Transactions
) -> Inconsistency | None:
    """What is wrong between a hold, asked for now, and its package; nothing where the package moved meanwhile."""
    hold = await inventory.hold(reservation_id)
    found = difference(reservation_id, package, hold)
    if found is None:
        return None
    now = next(iter(await _with_reservations([reservation_id], transactions)), None)
    same = now is None if package is None else now is not None and now.version == package.version
    return found if same else None


async def _with_reservations(reservation_ids: Sequence[str], transactions: Transactions) -> list[Package]:
    return await transactions.read(lambda uow: uow.packages.with_reservations(reservation_ids))


def difference(reservation_id: str, package: Package | None, hold: Hold | None) -> Inconsistency | None:
    """What is wrong between a hold and the package that bears its id, of which no command is under way."""
    state = hold.state if hold else None
    facts = {"reservation_id": reservation_id, "hold": state or "none"}
    if package is None:
        description = "inventory holds stock that no package wants"
        if state != "HELD":
            return None
        return Inconsistency(Drift.ORPHAN_HOLD, reservation_id, description, facts)
    same_lines = have_same_lines(package, hold)
    if stock_repair(package, state, same_lines=same_lines) is StockRepair.FINE:
        return None
    return Inconsistency(
        Drift.HOLD,
        package.package_sn,
        f"the package is {package.stock_state}, inventory has its hold as {state or 'unknown'}",
        facts
        | {
            "state": package.state,
            "stock_state": package.stock_state,
            "lines_equal": str(same_lines).lower(),
            "version": str(package.version),
        },
    )


def have_same_lines(package: Package, hold: Hold | None) -> bool:
    """Whether a hold is of what the package contains; one without lines says nothing of them."""
    return hold is None or not hold.lines or dict(hold.lines) == package.lines()
