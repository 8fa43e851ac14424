"""Reading packages, orders, evidence and people; each names what is missing instead of answering nothing."""

from collections.abc import Sequence

from delivery_service.application.onward import onward_of
from delivery_service.application.ports import OrderFilter, UnitOfWork
from delivery_service.domain.directory import Driver, Warehouse
from delivery_service.domain.errors import (
    DriverNotFound,
    EvidenceNotFound,
    OrderNotFound,
    PackageNotFound,
    WarehouseNotFound,
)
from delivery_service.domain.evidence import Evidence
from delivery_service.domain.order import Order, OrderPackage
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import Actor, PackageEvent
from delivery_service.domain.transitions import Explanation, explain


async def get_package(package_sn: str, uow: UnitOfWork) -> Package:
    """Raises PackageNotFound."""
    package = await uow.packages.get(package_sn)
    if package is None:
        raise PackageNotFound(package_sn)
    return package


async def get_order(order_id: int, uow: UnitOfWork) -> tuple[Order, list[OrderPackage]]:
    """The order with its active packages. Raises OrderNotFound."""
    order = await uow.orders.get(order_id)
    if order is None:
        raise OrderNotFound(order_id)
    return order, await active_packages([order], uow)


async def list_orders(
    which: OrderFilter, size: int, before: int | None, uow: UnitOfWork
) -> tuple[list[Order], list[OrderPackage]]:
    """A page of orders with their active packages."""
    orders = await uow.orders.list_orders(which, size, before)
    return orders, await active_packages(orders, uow)


async def active_packages(orders: Sequence[Order], uow: UnitOfWork) -> list[OrderPackage]:
    """The active packages of these orders that can be read, leg 0 first."""
    packages = await uow.packages.list_of_orders([order.order_id for order in orders])
    return [package for package in packages if package.state.active]


async def explain_package(
    package_sn: str, actor: Actor, uow: UnitOfWork
) -> tuple[Package, list[Explanation]]:
    """Every verb of the package's way, as far as this actor is concerned. Raises PackageNotFound."""
    package = await get_package(package_sn, uow)
    return package, list(explain(package, actor, await onward_of(package, uow)))


async def list_package_events(
    package_sn: str, size: int, after: int | None, uow: UnitOfWork
) -> tuple[list[PackageEvent], dict[str, Evidence]]:
    """A part of the timeline, and what is known of its photos. Raises PackageNotFound."""
    package = await get_package(package_sn, uow)
    events = await uow.events.list_events(package.package_id, size, after)
    photos = await uow.evidence.list_by_ids({photo for event in events for photo in event.evidence_ids})
    return events, {photo.evidence_id: photo for photo in photos}


async def get_evidence(evidence_id: str, uow: UnitOfWork) -> Evidence:
    """Raises EvidenceNotFound."""
    evidence = await uow.evidence.get(evidence_id)
    if evidence is None:
        raise EvidenceNotFound(evidence_id)
    return evidence


async def get_driver(driver_id: int, uow: UnitOfWork) -> Driver:
    """Raises DriverNotFound."""
    driver = await uow.drivers.get(driver_id)
    if driver is None:
        raise DriverNotFound(driver_id)
    return driver


async def get_warehouse(warehouse_id: int, uow: UnitOfWork) -> Warehouse:
    """Raises WarehouseNotFound."""
    warehouse = await uow.warehouses.get(warehouse_id)
    if warehouse is None:
        raise WarehouseNotFound(warehouse_id)
    return warehouse
