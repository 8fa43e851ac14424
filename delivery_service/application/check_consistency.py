"""Looks for records that must agree and do not. Streams what it finds, in bounded memory, and repairs nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from delivery_service.application.ports import (
    Hold,
    Inconsistency,
    Inventory,
    InventoryUnreachable,
    Transactions,
    UnitOfWork,
)
from delivery_service.domain.package import Package
from delivery_service.domain.workflow import StockState

BATCH = 200
AT_ONCE = 8

# The state inventory may have a hold in while the package says this; None: inventory may not know it.
_EXPECTED: dict[StockState, frozenset[str | None]] = {
    StockState.REQUESTED: frozenset({None, "HELD"}),
    StockState.HELD: frozenset({"HELD"}),
    StockState.REJECTED: frozenset({None, "RELEASED"}),
    StockState.COMMIT_PENDING: frozenset({"HELD", "COMMITTED"}),
    StockState.COMMITTED: frozenset({"COMMITTED"}),
    StockState.RELEASE_PENDING: frozenset({None, "HELD", "RELEASED"}),
    StockState.RELEASED: frozenset({"RELEASED"}),
}

Looked = tuple[int | None, list[Inconsistency]]


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


async def check_reservations(
    transactions: Transactions, inventory: Inventory
) -> AsyncIterator[Inconsistency]:
    """Holds without a package that wants them, and packages without the hold they need.

    Holds are read before their packages: a package is committed before its hold exists.
    """
    try:
        page: list[Hold] = []
        async for hold in inventory.holds():
            page.append(hold)
            if len(page) == BATCH:
                for found in await _orphans(page, transactions):
                    yield found
                page = []
        for found in await _orphans(page, transactions):
            yield found
        async for found in _packages_against(inventory, transactions):
            yield found
    except InventoryUnreachable as error:
        description = "unknown: inventory could not be asked, so nothing is known about holds"
        yield Inconsistency("inventory", description, {"error": str(error)})


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


async def _orphans(holds: Sequence[Hold], transactions: Transactions) -> list[Inconsistency]:
    async def read(uow: UnitOfWork) -> list[Package]:
        return await uow.packages.with_reservations([hold.reservation_id for hold in holds])

    if not holds:
        return []
    wanted = {package.reservation_id: package for package in await transactions.read(read)}
    found = []
    for hold in holds:
        package = wanted.get(hold.reservation_id)
        if package is None or hold.state not in _EXPECTED.get(package.stock_state, frozenset()):
            stock_state = package.stock_state if package else "none"
            found.append(
                Inconsistency(
                    package.package_sn if package else hold.reservation_id,
                    "inventory holds stock that no package wants",
                    {"reservation_id": hold.reservation_id, "hold": hold.state, "stock_state": stock_state},
                )
            )
    return found


async def _packages_against(inventory: Inventory, transactions: Transactions) -> AsyncIterator[Inconsistency]:
    after = 0
    while True:

        async def page(uow: UnitOfWork, after: int = after) -> list[Package]:
            return await uow.consistency.tracked_packages(after, BATCH)

        packages = await transactions.read(page)
        if not packages:
            return
        after = packages[-1].package_id
        for start in range(0, len(packages), AT_ONCE):
            some = packages[start : start + AT_ONCE]
            for found in await asyncio.gather(*(_compare(p, inventory, transactions) for p in some)):
                if found is not None:
                    yield found


async def _compare(
    package: Package, inventory: Inventory, transactions: Transactions
) -> Inconsistency | None:
    hold = await inventory.hold(package.reservation_id or "")
    state = hold.state if hold else None
    same_lines = hold is None or not hold.lines or dict(hold.lines) == package.lines()
    if state in _EXPECTED[package.stock_state] and same_lines:
        return None

    async def again(uow: UnitOfWork) -> Package | None:
        return await uow.packages.get(package.package_sn)

    now = await transactions.read(again)
    if now is None or now.version != package.version:
        # It moved while we looked; what it was is no finding.
        return None
    return Inconsistency(
        package.package_sn,
        f"the package is {package.stock_state}, inventory has its hold as {state or 'unknown'}",
        {
            "reservation_id": package.reservation_id or "",
            "stock_state": package.stock_state,
            "hold": state or "none",
            "lines_equal": str(same_lines).lower(),
        },
    )
