"""Repairs between packages and their timelines: the events are the truth, save where the old application went on."""

from dataclasses import replace

from delivery_service.application.consistency_ports import Inconsistency
from delivery_service.application.ports import UnitOfWork
from delivery_service.application.projections import project_orders
from delivery_service.application.repair_package import joined, locked, take_legs
from delivery_service.application.repairing import NothingToRepair, Operator, RepairByHand, note_repair
from delivery_service.application.stock_ports import NewCommand
from delivery_service.domain.drift import MOST_LOST_EVENTS, leads_to, lost_events, may_have_claimed
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import PackageEvent
from delivery_service.domain.settlement import COMMANDS
from delivery_service.domain.workflow import PackageState, StockState, Verb


async def leave_unreadable(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """Nothing can be made of a row that cannot be read."""
    raise RepairByHand("set the codes of its row to what its events, or the old application, say")


async def leave_chain(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """An event says from where to where; which of two that contradict each other is wrong, no row tells."""
    raise RepairByHand(
        f"see what events {found.facts['sequences']} of package_event, and those before them, did by their verbs,"
        " and correct from_status and to_status"
    )


async def repair_state(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """A state that the package's way leads to was set by the old application: the timeline is completed, and says
    that nothing proves the step. Any other state is set back to where the last event led.
    """
    package, orders = await locked(found.subject, uow)
    last = await uow.events.last(package.package_id)
    if last is None or last.to_state is package.state:
        raise NothingToRepair
    was = package.state
    if not leads_to(package, last.to_state, was):
        package = replace(package, state=last.to_state)
        what = f"the state was {was}, where no event led, and is {last.to_state} again"
    else:
        photos = (await uow.repairs.marked(package.package_id)).get(last.sequence + 1)
        proof = f"photo {', '.join(photos)} proves" if photos else "nothing proves"
        what = f"the package was found {was}, beyond its last event; {proof} that step"
    changed = replace(package, version=package.version + 1, update_time=uow.now)
    pending = _stock_pending(changed)
    if pending is not None:
        changed = replace(changed, stock_state=pending)
        what += f"; inventory is told to {COMMANDS[pending].lower()}"
    await uow.packages.save(changed)
    if changed.state.active:
        await take_legs(changed, uow)
    await note_repair(changed, what, by, uow, now_is=replace(changed, driver_id=last.driver_id))
    if pending is not None:
        await uow.outbox.add([NewCommand(changed, COMMANDS[pending], by.trace)])
    # Where the list names others, the mapping is right.
    await project_orders([order for order in orders if order.order_id in package.order_ids], uow)
    return what


async def repair_driver(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """A driver where none was may have claimed by the old application, and nobody but a driver carries a package
    from the shelf: both are kept. Any other is set back to the last event's.
    """
    package = await uow.packages.lock(found.subject)
    last = await uow.events.last(package.package_id) if package else None
    if package is None or last is None or last.driver_id == package.driver_id:
        raise NothingToRepair
    driver = await uow.drivers.get(package.driver_id) if package.driver_id else None
    if may_have_claimed(package, last.driver_id, driver):
        what = f"driver {package.driver_id} was found with the package, which no event tells; he keeps it"
    elif last.driver_id is None and package.must_have_driver:
        if driver is None:
            raise RepairByHand(f"driver {package.driver_id} is not known: see who has the package")
        what = f"a driver has the package, and no event tells who; driver {package.driver_id} keeps it"
    else:
        was = package.driver_id or "none"
        package = replace(package, driver_id=last.driver_id)
        what = f"the driver was {was}, of whom no event tells, and is {last.driver_id or 'none'} again"
    changed = replace(package, version=package.version + 1, update_time=uow.now)
    await uow.packages.save(changed)
    await note_repair(changed, what, by, uow, now_is=replace(changed, state=last.to_state))
    return what


async def repair_steps(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """The times of steps are written from the events that tell of them."""
    package = await uow.packages.lock(found.subject)
    written = await uow.repairs.write_steps(package.package_id) if package else []
    if package is None or not written:
        raise NothingToRepair
    what = f"{', '.join(written)} are written from the events"
    await note_repair(package, what, by, uow)
    return what


async def repair_timeline(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """Lost events cannot be had again; in their places stand events that say so, with the photos that are marked as
    their proof, and nothing else is changed.
    """
    package, _ = await locked(found.subject, uow)
    events: list[PackageEvent] = []
    while page := await uow.events.list_events(
        package.package_id, MOST_LOST_EVENTS, events[-1].sequence if events else None
    ):
        events += page
    marked = await uow.repairs.marked(package.package_id)
    lost = lost_events(events, package.state, least=max(marked, default=1))
    if not lost:
        raise NothingToRepair
    if len(lost) > MOST_LOST_EVENTS:
        raise RepairByHand(f"more than {MOST_LOST_EVENTS} events are lost")
    for sequence, from_state, to_state in lost:
        photos = tuple(marked.get(sequence, ()))
        # Only the last event of all says who has the package; where that is lost too, its row does.
        driver_id = None if events or sequence < len(lost) else package.driver_id
        note = "an event was lost here"
        await uow.events.add(
            package.package_id,
            PackageEvent(
                sequence, Verb.RECONCILE, from_state, to_state, by.actor, driver_id, photos, note, uow.now
            ),
        )
    numbers = joined(sequence for sequence, _, _ in lost)
    return f"{len(lost)} lost events are marked in the timeline: {numbers}"


def _stock_pending(package: Package) -> StockState | None:
    """What the state means for stock that is held still."""
    if package.stock_state is StockState.HELD and package.state.off_shelf:
        return StockState.COMMIT_PENDING
    holding = package.stock_state in (StockState.REQUESTED, StockState.HELD)
    return StockState.RELEASE_PENDING if holding and package.state is PackageState.CANCELLED else None
