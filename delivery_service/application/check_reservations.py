"""Compares packages with the holds that inventory has for them, both ways."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from delivery_service.application.check_consistency import BATCH, all_found
from delivery_service.application.consistency_ports import Drift, Inconsistency, Looked
from delivery_service.application.ports import Transactions, UnitOfWork
from delivery_service.application.stock_ports import Hold, Inventory, InventoryUnreachable
from delivery_service.domain.drift import StockRepair, stock_repair
from delivery_service.domain.package import Package
from delivery_service.domain.workflow import PackageState

AT_ONCE = 8


async def check_reservations(
    transactions: Transactions, inventory: Inventory
) -> AsyncIterator[Inconsistency]:
    """Packages that bear no id of theirs for a hold, or hold more than was ordered, holds without a package that
    wants them, and packages without the hold they need.

    A package of which a command is under way is not compared: it is about to change, and `check_outbox` tells where
    a command is stuck. Holds are read before their packages: a package is committed before its hold exists.
    """

    async def look(uow: UnitOfWork, after: int) -> Looked:
        packages = await uow.consistency.tracked_packages(after, BATCH)
        wrong = [wrong_hold_id(package) for package in packages if not package.has_right_hold_id]
        wrong += await overpacked(packages, uow)
        return (packages[-1].package_id if packages else None), wrong

    # Before any hold is judged: by a wrong id a package would be compared with a hold that is not its own.
    async for found in all_found(transactions, look):
        yield found
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


async def _orphans(
    holds: Sequence[Hold], inventory: Inventory, transactions: Transactions
) -> AsyncIterator[Inconsistency]:
    """Holds under an id that no package bears now; those of packages are compared with these."""
    if not holds:
        return
    known = await _versions([hold.reservation_id for hold in holds], transactions)
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

        packages, under_way = await transactions.read(page, one_snapshot=True)
        if not packages:
            return
        after = packages[-1].package_id
        settled = [p for p in packages if p.package_id not in under_way and p.has_right_hold_id]
        for start in range(0, len(settled), AT_ONCE):
            some = settled[start : start + AT_ONCE]
            compared = (_compare(str(p.reservation_id), p, inventory, transactions) for p in some)
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
    now = (await _versions([reservation_id], transactions)).get(reservation_id)
    return found if now == (package.version if package else None) else None


async def _versions(reservation_ids: Sequence[str], transactions: Transactions) -> Mapping[str, int]:
    return await transactions.read(lambda uow: uow.packages.versions_by_hold(reservation_ids))


def wrong_hold_id(package: Package) -> Inconsistency:
    """The finding of a package whose hold's id is not the one that its number and attempt make."""
    facts = {
        "reservation_id": package.reservation_id or "none",
        "attempt": str(package.attempt),
        "stock_state": package.stock_state,
    }
    description = "the id of the package's hold is not the one of its attempt"
    return Inconsistency(Drift.HOLD_ID, package.package_sn, description, facts)


async def overpacked(packages: Sequence[Package], uow: UnitOfWork) -> list[Inconsistency]:
    """A finding for each package on leg 0 with an order item of which all packages together have too much."""
    concerned = [p for p in packages if p.leg == 0 and p.state is not PackageState.CANCELLED]
    items = {item.order_item_id for p in concerned for item in p.items if item.order_item_id is not None}
    packed = await uow.packages.packed_units(items, leg=0)
    ordered = await uow.orders.ordered_units(items)
    excess = {item for item in items if packed.get(item, 0) > ordered.get(item, 0)}
    found = []
    for package in concerned:
        if mine := sorted(excess & {item.order_item_id for item in package.items}):
            facts = {
                "order_items": ", ".join(map(str, mine))[:500],
                "packed": ", ".join(str(packed[item]) for item in mine)[:500],
                "ordered": ", ".join(str(ordered.get(item, 0)) for item in mine)[:500],
            }
            description = "more is packed than was ordered"
            found.append(Inconsistency(Drift.OVERPACKED, package.package_sn, description, facts))
    return found


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
