"""Every verb of the table, applied to a package in one transaction."""

from dataclasses import dataclass

from delivery_service.application.onward import onward_of
from delivery_service.application.ports import UnitOfWork
from delivery_service.application.projections import project_orders
from delivery_service.application.stock_ports import NewCommand
from delivery_service.domain.directory import Driver
from delivery_service.domain.errors import EvidenceNotFound, PackageNotFound
from delivery_service.domain.evidence import Evidence
from delivery_service.domain.move import Move, apply_move
from delivery_service.domain.order import Order
from delivery_service.domain.package import Package
from delivery_service.domain.settlement import COMMANDS
from delivery_service.domain.workflow import PackageState, StockState, Verb
from servicekit.crash_points import crash_point

# These change the driver only, so the orders need no lock and claims of one order do not wait for each other.
_DRIVER_VERBS = (Verb.CLAIM, Verb.RELEASE_CLAIM, Verb.ASSIGN_DRIVER)


@dataclass(frozen=True)
class MovePackage:
    """One verb for one package."""

    package_sn: str
    move: Move
    trace: str


async def move_package(command: MovePackage, uow: UnitOfWork) -> Package:
    """Applies the verb: the package, its event, its photos, its stock command and the projections together.

    Locks the orders by id, then the package. The last verb again, by the same actor with equal evidence, changes
    nothing. Raises PackageNotFound, EvidenceNotFound and what `apply_move` raises.
    """
    move = command.move
    package, orders = await _locked(command, uow)
    last = await uow.events.last(package.package_id)
    evidence = await _evidence(move, uow)
    moved, event = apply_move(
        package, move, last, await onward_of(package, uow), evidence, await _driver(move, uow), uow.now
    )
    if event is None:
        return package
    async with uow.together():
        await uow.packages.save(moved)
        await uow.events.add(package.package_id, event)
        await uow.evidence.use(evidence, event.sequence)
        _crash_after_state(moved, package)
        if moved.stock_state != package.stock_state:
            await uow.outbox.add([NewCommand(moved, COMMANDS[moved.stock_state], command.trace)])
        if orders:
            await project_orders(orders, uow)
            await uow.orders.add_action(package.order_ids, event)
    return moved


async def _locked(command: MovePackage, uow: UnitOfWork) -> tuple[Package, list[Order]]:
    order_ids = await uow.packages.order_ids(command.package_sn)
    if order_ids is None:
        raise PackageNotFound(command.package_sn)
    with_orders = command.move.verb not in _DRIVER_VERBS
    orders = await uow.orders.lock(order_ids) if with_orders else []
    package = await uow.packages.lock(command.package_sn)
    if package is None:
        raise PackageNotFound(command.package_sn)
    if with_orders and package.order_ids != order_ids:
        # While this one waited, the package was given other orders. They are locked out of order, so that may end in
        # a deadlock, which the engine breaks and the kit runs again.
        orders = await uow.orders.lock(package.order_ids)
    return package, orders


async def _evidence(move: Move, uow: UnitOfWork) -> list[Evidence]:
    if not move.evidence_ids:
        return []
    found = {item.evidence_id: item for item in await uow.evidence.list_by_ids(move.evidence_ids)}
    for evidence_id in move.evidence_ids:
        if evidence_id not in found:
            raise EvidenceNotFound(evidence_id)
    return list(found.values())


async def _driver(move: Move, uow: UnitOfWork) -> Driver | None:
    wanted = move.verb in (Verb.CLAIM, Verb.ASSIGN_DRIVER) and move.driver_id
    return await uow.drivers.get(wanted) if wanted else None


def _crash_after_state(moved: Package, before: Package) -> None:
    if moved.state is PackageState.CANCELLED:
        crash_point("cancel.after_state")
    elif moved.stock_state is StockState.COMMIT_PENDING and before.stock_state is StockState.HELD:
        crash_point("pivot.after_state")
