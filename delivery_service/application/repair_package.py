"""Repairs of a package's own records. Each looks again under the locks, and tells what it did."""

from dataclasses import replace

from delivery_service.application.consistency_ports import Inconsistency
from delivery_service.application.ports import UnitOfWork
from delivery_service.application.projections import project_orders
from delivery_service.application.repairing import NothingToRepair, Operator, RepairByHand, tell
from delivery_service.domain.drift import MOST_LOST_EVENTS, ON_SHELF, leads_to, lost_events
from delivery_service.domain.order import Order
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import PackageEvent
from delivery_service.domain.reservation import StockCommand
from delivery_service.domain.workflow import PackageState, StockState, Verb


async def repair_orders(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """The mapping is the truth. Where it is empty, the old application wrote the package, and its list is read."""
    package, orders = await _locked(found.subject, uow)
    listed, ids = await uow.repairs.listed_orders(package.package_sn)
    if package.order_ids and listed == ",".join(map(str, package.order_ids)):
        raise NothingToRepair
    if package.order_ids:
        what = f"order_ids was {listed[:200]!r} and is written from the mapping"
    else:
        known = [order.order_id for order in orders if order.order_id in ids]
        if not known:
            raise RepairByHand("no order of the package is known")
        for order_id in known:
            await uow.repairs.map_order(package.package_id, order_id)
        package = replace(package, order_ids=tuple(sorted(known)))
        taken = await _take_legs(package, uow)
        what = f"the orders {_joined(known)} of order_ids are mapped, {len(taken)} of them took their leg"
    await uow.repairs.list_orders_as(package)
    await tell(package, what, by, uow)
    return what


async def repair_legs(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """A past package takes no leg, an active one takes its own of each order."""
    package, _ = await _locked(found.subject, uow)
    leg = package.leg if package.state.active else None
    wrong = [order for order, taken in (await uow.repairs.legs(package.package_id)).items() if taken != leg]
    if not wrong:
        raise NothingToRepair
    if leg is None:
        await uow.repairs.free_legs(package.package_id)
        what = f"the legs of orders {_joined(wrong)} are freed"
    else:
        taken = await _take_legs(package, uow)
        if not taken:
            raise RepairByHand(f"the legs of orders {_joined(wrong)} are taken by other active packages")
        what = f"the legs of orders {_joined(taken)} are taken"
    await tell(package, what, by, uow)
    return what


async def repair_state(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """A state that the package's way leads to was set by the old application: the timeline is completed, and says
    that nothing proves the step. Any other state is set back to where the last event led.
    """
    package, orders = await _locked(found.subject, uow)
    last = await uow.events.last(package.package_id)
    if last is None or last.to_state is package.state:
        raise NothingToRepair
    was = package.state
    if not leads_to(package, last.to_state, was):
        package = replace(package, state=last.to_state)
        what = f"the state was {was}, where no event led, and is {last.to_state} again"
    else:
        what = f"the package was found {was}, beyond its last event; nothing proves that step"
    changed = replace(package, version=package.version + 1, update_time=uow.now)
    command = _stock_command(changed)
    if command is not None:
        pending = {
            StockCommand.COMMIT: StockState.COMMIT_PENDING,
            StockCommand.RELEASE: StockState.RELEASE_PENDING,
        }
        changed = replace(changed, stock_state=pending[command])
        what += f"; inventory is told to {command.lower()}"
    await uow.packages.save(changed)
    if changed.state.active:
        await _take_legs(changed, uow)
    await tell(changed, what, by, uow, from_state=last.to_state)
    if command is not None:
        await uow.outbox.add(changed, command, by.trace)
    off_shelf = changed.state not in (*ON_SHELF, PackageState.CANCELLED)
    await project_orders(orders, uow, left_shelf=off_shelf)
    return what


async def repair_timeline(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """Lost events cannot be had again; in their places stand events that say so, and nothing else is changed."""
    package, _ = await _locked(found.subject, uow)
    events: list[PackageEvent] = []
    while page := await uow.events.list_events(
        package.package_id, MOST_LOST_EVENTS, events[-1].sequence if events else None
    ):
        events += page
    lost = lost_events(events)
    if not lost:
        raise NothingToRepair
    if len(lost) > MOST_LOST_EVENTS:
        raise RepairByHand(f"more than {MOST_LOST_EVENTS} events are lost")
    what = (
        f"{len(lost)} lost events are marked in the timeline: {_joined(sequence for sequence, _, _ in lost)}"
    )
    for sequence, from_state, to_state in lost:
        lost_one = PackageEvent(
            sequence,
            Verb.RECONCILE,
            from_state,
            to_state,
            by.actor,
            None,
            (),
            "an event was lost here",
            uow.now,
        )
        await uow.events.add(package.package_id, lost_one)
    return what


async def _locked(package_sn: str, uow: UnitOfWork) -> tuple[Package, list[Order]]:
    """The package with its orders, mapped or only listed; the orders are locked first, by id."""
    mapped = await uow.packages.order_ids(package_sn)
    if mapped is None:
        raise NothingToRepair
    _, listed = await uow.repairs.listed_orders(package_sn)
    orders = await uow.orders.lock({*mapped, *listed})
    package = await uow.packages.lock(package_sn)
    if package is None or package.order_ids != mapped:
        raise NothingToRepair
    return package, orders


async def _take_legs(package: Package, uow: UnitOfWork) -> list[int]:
    """Takes each leg that is free; answers those that it did not have before."""
    if not package.state.active:
        return []
    had = await uow.repairs.legs(package.package_id)
    return [
        order_id
        for order_id, leg in had.items()
        if leg != package.leg and await uow.repairs.take_leg(package.package_id, order_id, package.leg)
    ]


def _stock_command(package: Package) -> StockCommand | None:
    """What the state means for stock that is held still."""
    if package.stock_state is StockState.HELD and package.state not in (*ON_SHELF, PackageState.CANCELLED):
        return StockCommand.COMMIT
    holding = package.stock_state in (StockState.REQUESTED, StockState.HELD)
    return StockCommand.RELEASE if holding and package.state is PackageState.CANCELLED else None


def _joined(numbers: object) -> str:
    return ", ".join(map(str, numbers))[:200]  # type: ignore[call-overload]
