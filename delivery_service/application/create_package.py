"""A package is made: its orders are locked, its items checked, its hold asked for, all in one transaction."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from delivery_service.application.packing_ports import BeforePacking
from delivery_service.application.packing_rules import packables_of_orders, packables_of_warehouse
from delivery_service.application.ports import UnitOfWork
from delivery_service.application.projections import project_new_package
from delivery_service.application.stock_ports import NewCommand
from delivery_service.domain.errors import (
    OrderAlreadyPacked,
    OrderNotFound,
    OrderNotShippable,
    PackageExists,
    Refusal,
    WarehouseNotFound,
    WrongActor,
)
from delivery_service.domain.order import Order
from delivery_service.domain.package import Package, PackageItem
from delivery_service.domain.package_event import Actor, PackageEvent
from delivery_service.domain.packing import pack
from delivery_service.domain.reservation import StockCommand, reservation_id
from delivery_service.domain.transitions import require_owner
from delivery_service.domain.workflow import ActorRole, PackageState, StockState, Verb, Workflow
from servicekit.crash_points import crash_point

MOST_COLLISIONS = 5

_MAY_CREATE = {
    0: (ActorRole.MERCHANT, ActorRole.DISPATCHER, ActorRole.SYSTEM),
    1: (ActorRole.MERCHANT, ActorRole.WAREHOUSE, ActorRole.DISPATCHER, ActorRole.SYSTEM),
}


@dataclass(frozen=True)
class CreatePackage:
    """What shall be packed. Without a package_sn one is made; without items, everything."""

    package_sn: str | None
    workflow: Workflow
    leg: int
    shop_id: int
    warehouse_id: int | None
    order_ids: tuple[int, ...]
    items: tuple[PackageItem, ...]
    actor: Actor
    trace: str

    def content_digest(self) -> str:
        """SHA-256 (hex) of what makes two requests for one package_sn equal."""
        items = sorted((item.order_item_id or 0, item.sku, item.quantity) for item in self.items)
        content = [self.workflow, self.leg, self.shop_id, self.warehouse_id, sorted(self.order_ids), items]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


async def create_package(
    command: CreatePackage, uow: UnitOfWork, new_package_sn: Callable[[datetime], str]
) -> Package:
    """Makes the package PENDING and, on leg 0, puts the command for its hold into the outbox.

    The same package_sn with the same content is answered as it is. Locks the orders by id. Raises WrongActor,
    NotYourPackage, OrderNotFound, WarehouseNotFound, PackageExists, OrderNotShippable, OrderAlreadyPacked,
    OrderOverpacked, PackageTooLarge.
    """
    _check_actor(command)
    orders = await uow.orders.lock(command.order_ids)
    before = await _look(command, orders, uow)
    if before.package_known:
        return await _same(command, uow)
    if before.unfollowed:
        # Whoever else packs one of these orders waits for their locks, except the old application.
        await uow.legacy_writes.follow_orders(command.order_ids)
        before = await _look(command, orders, uow)
    _check_orders(command, orders, before)
    if command.leg == 0:
        packables = packables_of_orders(orders, before.packed_units)
    else:
        packables = await packables_of_warehouse(orders, command.warehouse_id, uow)
    items = pack(command.items, packables)
    if not items:
        # The old system has orders without items, and packages without them.
        why = "has nothing to pack"
        raise OrderNotShippable(command.order_ids, (why,) * len(command.order_ids))
    package = await _add(command, items, uow, new_package_sn)
    crash_point("create.after_package")
    async with uow.together():
        await uow.events.add(package.package_id, _event(package, command.actor))
        if package.stock_state is StockState.REQUESTED:
            await uow.outbox.add([NewCommand(package, StockCommand.RESERVE, command.trace)])
        await project_new_package(orders, before.packages, uow)
    crash_point("create.after_outbox")
    return package


def _check_actor(command: CreatePackage) -> None:
    allowed = _MAY_CREATE[command.leg]
    actor = command.actor
    if actor.role not in allowed:
        raise WrongActor(Verb.CREATE, actor.role, allowed)
    require_owner(actor, command.package_sn or "", shop_id=command.shop_id, warehouse_id=command.warehouse_id)


async def _look(command: CreatePackage, orders: Sequence[Order], uow: UnitOfWork) -> BeforePacking:
    items = [item.order_item_id for order in orders for item in order.items]
    return await uow.packing.look(command.package_sn, command.order_ids, items, command.warehouse_id)


def _check_orders(command: CreatePackage, orders: Sequence[Order], before: BeforePacking) -> None:
    refusals = list(_why_not(command, orders, before))
    if refusals:
        first, *others = refusals
        first.also = tuple(others)
        raise first


def _why_not(command: CreatePackage, orders: Sequence[Order], before: BeforePacking) -> Iterator[Refusal]:
    found = {order.order_id for order in orders}
    yield from (OrderNotFound(order_id) for order_id in command.order_ids if order_id not in found)
    if command.warehouse_id is not None and not before.warehouse_known:
        yield WarehouseNotFound(command.warehouse_id)
    unfit = {}
    for order in orders:
        if order.shop_id != command.shop_id:
            unfit[order.order_id] = f"is not of shop {command.shop_id}"
        elif not order.status.shippable:
            unfit[order.order_id] = f"is {order.status}"
    if unfit:
        yield OrderNotShippable(tuple(unfit), tuple(unfit.values()))
    already = sorted({p.order_id for p in before.packages if p.leg == command.leg and p.state.active})
    if already:
        yield OrderAlreadyPacked(tuple(already), command.leg)


async def _add(
    command: CreatePackage,
    items: tuple[PackageItem, ...],
    uow: UnitOfWork,
    new_package_sn: Callable[[datetime], str],
) -> Package:
    for _ in range(MOST_COLLISIONS):
        package_sn = command.package_sn or new_package_sn(uow.now)
        tracked = command.leg == 0
        added = await uow.packing.add(
            Package(
                package_id=0,
                package_sn=package_sn,
                workflow=command.workflow,
                leg=command.leg,
                shop_id=command.shop_id,
                warehouse_id=command.warehouse_id,
                driver_id=None,
                order_ids=tuple(sorted(command.order_ids)),
                items=items,
                state=PackageState.PENDING,
                stock_state=StockState.REQUESTED if tracked else StockState.NOT_TRACKED,
                create_time=uow.now,
                update_time=uow.now,
                attempt=1 if tracked else 0,
                reservation_id=reservation_id(package_sn, 1) if tracked else None,
                content_digest=command.content_digest(),
            )
        )
        if added is not None:
            return added
        if command.package_sn is not None:
            # Somebody took it while we waited for other orders' locks.
            raise PackageExists(command.package_sn)
    raise PackageExists(package_sn)


async def _same(command: CreatePackage, uow: UnitOfWork) -> Package:
    known = await uow.packages.get(command.package_sn or "")
    if known is None or known.content_digest != command.content_digest():
        raise PackageExists(command.package_sn or "")
    return known


def _event(package: Package, actor: Actor) -> PackageEvent:
    return PackageEvent(
        sequence=1,
        verb=Verb.CREATE,
        from_state=None,
        to_state=package.state,
        actor=actor,
        driver_id=None,
        evidence_ids=(),
        note="",
        create_time=package.create_time,
    )
