"""What may never be, whatever happens between two steps, and what must be once it is quiet."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from chaos.simulator.outbox import Entry
from chaos.simulator.parcels import Parcels
from chaos.simulator.shelves import Shelves
from delivery_service.application.outbox_ports import CommandState
from delivery_service.domain.package import Package
from delivery_service.domain.workflow import PackageState, StockState
from inventory_service.domain.reservation import ReservationState

_WAY = list(PackageState)
_ENDS = (PackageState.COMPLETED, PackageState.CANCELLED)
_HELD, _COMMITTED, _RELEASED, _EXPIRED = ReservationState
_NEVER: dict[StockState, set[ReservationState | None]] = {
    StockState.HELD: {None, _COMMITTED, _RELEASED, _EXPIRED},
    StockState.COMMIT_PENDING: {None, _RELEASED, _EXPIRED},
    StockState.COMMITTED: {None, _HELD, _RELEASED, _EXPIRED},
    StockState.REQUESTED: {_COMMITTED, _EXPIRED},
    StockState.REJECTED: {_COMMITTED, _EXPIRED},
    StockState.RELEASE_PENDING: {_COMMITTED, _EXPIRED},
    StockState.RELEASED: {None, _HELD, _COMMITTED, _EXPIRED},
}
"""What the reservation of a package cannot be, by what delivery believes of it."""


def of_shelves(before: Shelves, after: Shelves) -> Iterator[str]:
    """The ledger, the levels and the holds agree; what was resolved stays as it was."""
    moved: Counter[str] = Counter()
    for movement in after.movements:
        moved[movement.sku] += movement.delta
    held: Counter[str] = Counter()
    for reservation in after.reservations.values():
        if reservation.state is _HELD:
            held.update(reservation.quantities)
    for sku, level in after.levels.items():
        if not 0 <= level.reserved_quantity <= level.quantity:
            yield f"{sku}: {level.reserved_quantity} of {level.quantity} units are held"
        if level.quantity != moved[sku]:
            yield f"{sku}: {level.quantity} units, the ledger has {moved[sku]}"
        if level.reserved_quantity != held[sku]:
            yield f"{sku}: {level.reserved_quantity} units held, the holds have {held[sku]}"
    for key, was in before.reservations.items():
        if was.state is not _HELD and after.reservations[key] != was:
            yield f"{key}: was {was.state}, and is {after.reservations[key].state} now"


def of_parcels(before: Parcels, after: Parcels) -> Iterator[str]:
    """No package goes back, no event is missing, no command is skipped or overtaken, none is set aside."""
    for key, package in after.packages.items():
        was = before.packages.get(key)
        if was is not package:
            yield from _of_package(was, package, after)
    commands: defaultdict[int, list[Entry]] = defaultdict(list)
    for entry in after.outbox.values():
        commands[entry.package_id].append(entry)
    for entries in commands.values():
        yield from _of_commands(entries)


def between(shelves: Shelves, parcels: Parcels) -> Iterator[str]:
    """What delivery believes of a hold can be true."""
    for package in parcels.packages.values():
        reservation = shelves.reservations.get(package.reservation_id or "")
        state = reservation.state if reservation else None
        if state in _NEVER[package.stock_state]:
            yield f"{package.package_sn} is {package.stock_state}, its hold {state}"
        if package.state.off_shelf and state not in (_HELD, _COMMITTED):
            yield f"{package.package_sn} is {package.state}, its hold {state}"


def when_quiet(shelves: Shelves, parcels: Parcels) -> Iterator[str]:
    """Every command was answered, every hold is some package's present one, every package has what it should."""
    for entry in parcels.outbox.values():
        if entry.state is not CommandState.DONE:
            yield f"{entry.task.reservation_id}: {entry.task.command} is {entry.state}, {entry.last_error}"
    holds = {key for key, row in shelves.reservations.items() if row.state is _HELD}
    wanted = {
        package.reservation_id
        for package in parcels.packages.values()
        if package.stock_state is StockState.HELD
    }
    for key in sorted(holds - wanted):
        yield f"{key} is held for nobody"
    for package in parcels.packages.values():
        if package.stock_state in (
            StockState.REQUESTED,
            StockState.COMMIT_PENDING,
            StockState.RELEASE_PENDING,
        ):
            yield f"{package.package_sn} stays {package.stock_state}"
        if package.state.off_shelf and package.stock_state is not StockState.COMMITTED:
            yield f"{package.package_sn} is {package.state}, its stock {package.stock_state}"


def _of_package(was: Package | None, package: Package, after: Parcels) -> Iterator[str]:
    if was is not None:
        if was.state in _ENDS and package.state is not was.state:
            yield f"{package.package_sn}: {was.state} was not the end, it is {package.state} now"
        if _WAY.index(package.state) < _WAY.index(was.state):
            yield f"{package.package_sn} went back from {was.state} to {package.state}"
    events = after.events[package.package_id]
    if [event.sequence for event in events] != list(range(1, len(events) + 1)):
        yield f"{package.package_sn}: the timeline has a gap"
    if events[-1].to_state is not package.state:
        yield f"{package.package_sn} is {package.state}, its timeline ends with {events[-1].to_state}"


def _of_commands(entries: list[Entry]) -> Iterator[str]:
    name = entries[0].task.package_sn
    if [entry.package_version for entry in entries] != list(range(1, len(entries) + 1)):
        yield f"{name}: a command is missing"
    unfinished = [entry for entry in entries if entry.state is not CommandState.DONE]
    if any(entry.state is CommandState.IN_FLIGHT for entry in unfinished[1:]):
        yield f"{name}: a command overtook another one"
    for entry in unfinished:
        if entry.state is CommandState.PARKED:
            yield f"{name}: {entry.task.command} is set aside, {entry.last_error}"
