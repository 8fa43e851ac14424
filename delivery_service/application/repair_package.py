"""Repairs between packages and their orders. Each looks again under the locks, and tells what it did."""

from collections.abc import Iterable
from dataclasses import replace

from delivery_service.application.check_consistency import unprojected
from delivery_service.application.consistency_ports import Inconsistency
from delivery_service.application.ports import UnitOfWork
from delivery_service.application.projections import projections_of
from delivery_service.application.repairing import NothingToRepair, Operator, RepairByHand, note_repair
from delivery_service.domain.order import Order
from delivery_service.domain.package import Package


async def repair_orders(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """The mapping is the truth. Where it is empty, the old application wrote the package, and its list is read."""
    package, orders = await locked(found.subject, uow)
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
        taken = await take_legs(package, uow)
        what = f"the orders {joined(known)} of order_ids are mapped, {len(taken)} of them took their leg"
    await uow.repairs.list_orders_as(package)
    await note_repair(package, what, by, uow)
    return what


async def repair_legs(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """A past package takes no leg, an active one takes its own of each order."""
    package, _ = await locked(found.subject, uow)
    leg = package.leg if package.state.active else None
    wrong = [order for order, taken in (await uow.repairs.legs(package.package_id)).items() if taken != leg]
    if not wrong:
        raise NothingToRepair
    if leg is None:
        await uow.repairs.free_legs(package.package_id)
        what = f"the legs of orders {joined(wrong)} are freed"
    else:
        taken = await take_legs(package, uow)
        if not taken:
            raise RepairByHand(f"the legs of orders {joined(wrong)} are taken by other active packages")
        what = f"the legs of orders {joined(taken)} are taken"
    await note_repair(package, what, by, uow)
    return what


async def forget_gone(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """Orders of a package that is gone are free again."""
    gone = await uow.repairs.forget_mapping(int(found.facts["id"]))
    if not gone:
        raise NothingToRepair
    return f"the orders {joined(gone)} are no longer mapped to it"


async def repair_projection(found: Inconsistency, by: Operator, uow: UnitOfWork) -> str:
    """What old readers see of an order is written from its packages, which all decide it and so all tell of it."""
    orders = await uow.orders.lock([int(found.subject)])
    wrong = await unprojected([order.order_id for order in orders], uow)
    if not wrong:
        raise NothingToRepair
    right = (await projections_of(orders, uow))[int(found.subject)]
    await uow.orders.project(int(found.subject), right.status, right.furthest)
    what = f"old readers see order {found.subject} as {wrong[0].facts['should_be']}"
    packages = await uow.packages.of_orders([int(found.subject)])
    for package_sn in [one.package_sn for one in sorted(packages, key=lambda one: one.package_id)]:
        if (package := await uow.packages.lock(package_sn)) is not None:
            await note_repair(package, what, by, uow)
    return what


async def locked(package_sn: str, uow: UnitOfWork) -> tuple[Package, list[Order]]:
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


async def take_legs(package: Package, uow: UnitOfWork) -> list[int]:
    """Takes each leg that is free; answers those that it did not have before."""
    if not package.state.active:
        return []
    had = await uow.repairs.legs(package.package_id)
    return [
        order_id
        for order_id, leg in had.items()
        if leg != package.leg and await uow.repairs.take_leg(package.package_id, order_id, package.leg)
    ]


def joined(numbers: Iterable[int]) -> str:
    """Numbers for a sentence, which may be cut."""
    return ", ".join(map(str, numbers))[:200]
