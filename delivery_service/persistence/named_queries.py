"""The queries that matter, by name. Each is a call of the code that sends it, never a copy of its SQL."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.application.outbox_ports import CommandState
from delivery_service.application.ports import OrderFilter, PackageFilter
from delivery_service.application.reads import get_order
from delivery_service.domain.errors import OrderNotFound
from delivery_service.domain.workflow import EvidenceKind, OrderStatus, PackageState, StockState, Workflow
from delivery_service.persistence.tables import evidence, package_items, package_orders, packages
from delivery_service.persistence.unit_of_work import SqlUnitOfWork

PAGE = 51
BATCH = 200
DAYS = timedelta(days=30)
MINUTES = timedelta(minutes=5)


@dataclass(frozen=True)
class Sample:
    """Arguments to ask with, of what is in the database; zeros and empty words where nothing is."""

    package_id: int
    package_sn: str
    order_id: int
    order_item_id: int
    user_id: int
    shop_id: int
    warehouse_id: int
    driver_id: int
    reservation_id: str
    evidence_id: str
    sha256: str


async def sample(connection: AsyncConnection) -> Sample:
    """The last of everything, each found by an index."""

    async def last(statement: Select[Any]) -> Any:
        return (await connection.execute(statement.limit(1))).scalar_one_or_none()

    async def greatest(column: Any) -> int:
        return await last(select(func.max(column))) or 0

    package_id = await greatest(packages.c.id)
    package = packages.c.id == package_id
    photo = select(evidence.c.evidence_id).order_by(evidence.c.evidence_id.desc())
    evidence_id = await last(photo) or ""
    return Sample(
        package_id=package_id,
        package_sn=await last(select(packages.c.prepare_sn).where(package)) or "",
        order_id=await greatest(package_orders.c.order_id),
        order_item_id=await greatest(package_items.c.order_item_id),
        user_id=1,
        shop_id=await greatest(packages.c.shop_id),
        warehouse_id=await greatest(packages.c.warehouse_id),
        driver_id=await greatest(packages.c.driver_id),
        reservation_id=await last(select(packages.c.reservation_id).where(package)) or "",
        evidence_id=evidence_id,
        sha256=await last(select(evidence.c.sha256).where(evidence.c.evidence_id == evidence_id)) or "",
    )


Query = Callable[[SqlUnitOfWork, Sample], Awaitable[object]]


async def _order(uow: SqlUnitOfWork, s: Sample) -> None:
    with suppress(OrderNotFound):
        await get_order(s.order_id, uow)


def _listed(**wanted: Any) -> Query:
    return lambda uow, _: uow.packages.list_packages(PackageFilter(**wanted), PAGE, None)


def _listed_by(name: str, **wanted: Any) -> Query:
    return lambda uow, s: uow.packages.list_packages(
        PackageFilter(**{name: getattr(s, name)}, **wanted), PAGE, None
    )


def _orders(**wanted: Any) -> Query:
    return lambda uow, _: uow.orders.list_orders(OrderFilter(**wanted), PAGE, None)


def _orders_by(name: str) -> Query:
    return lambda uow, s: uow.orders.list_orders(OrderFilter(**{name: getattr(s, name)}), PAGE, None)


NAMED_QUERIES: Mapping[str, Query] = {
    "order-delivery-type": lambda uow, s: uow.packages.of_orders([s.order_id]),
    "order": _order,
    "orders": _orders(),
    "orders-of-shop": _orders_by("shop_id"),
    "orders-of-user": _orders_by("user_id"),
    "orders-in-status": _orders(status=OrderStatus.PENDING_SHIPMENT),
    "package": lambda uow, s: uow.packages.get(s.package_sn),
    "package-locked": lambda uow, s: uow.packages.lock(s.package_sn),
    "package-of-hold": lambda uow, s: uow.packages.versions_by_hold([s.reservation_id]),
    "packages": _listed(),
    "packages-of-order": _listed_by("order_id"),
    "packages-of-shop": _listed_by("shop_id"),
    "packages-of-driver": _listed_by("driver_id"),
    "packages-of-warehouse": _listed_by("warehouse_id"),
    "packages-of-shop-in-state": _listed_by("shop_id", state=PackageState.PREPARED),
    "packages-of-driver-in-state": _listed_by("driver_id", state=PackageState.PICKED_UP),
    "packages-of-warehouse-in-state": _listed_by("warehouse_id", state=PackageState.AT_WAREHOUSE),
    "packages-of-workflow": _listed(workflow=Workflow.DRIVER_TO_WAREHOUSE),
    "packages-of-workflow-in-state": _listed(
        workflow=Workflow.DRIVER_TO_WAREHOUSE, state=PackageState.PICKED_UP
    ),
    "packages-in-state": _listed(state=PackageState.OUT_FOR_DELIVERY),
    "packages-pending": _listed(state=PackageState.PENDING),
    "packages-to-claim": _listed(claimable=True),
    "packages-by-stock-state": _listed(stock_state=StockState.REQUESTED),
    "packed-units": lambda uow, s: uow.packages.packed_units([s.order_item_id], 0),
    "workflow-distribution": lambda uow, _: uow.packages.distribution(),
    "workflow-orders": lambda uow, _: uow.packages.order_counts(),
    "events-of-package": lambda uow, s: uow.events.list_events(s.package_id, PAGE, None),
    "last-event": lambda uow, s: uow.events.last(s.package_id),
    "photos-of-package": lambda uow, s: uow.evidence.list_evidence(s.package_id, None, PAGE, None),
    "photos-of-kind": lambda uow, s: uow.evidence.list_evidence(
        s.package_id, EvidenceKind.PREPARATION, PAGE, None
    ),
    "photos-of-same-bytes": lambda uow, s: uow.evidence.same_bytes(s.sha256),
    "photos-known": lambda uow, s: uow.evidence.known([s.evidence_id], [s.sha256]),
    "photos-unused": lambda uow, _: uow.evidence.remove_unused(uow.now - DAYS, BATCH),
    "photos-checked": lambda uow, s: uow.evidence.page("", BATCH),
    "commands-due": lambda uow, _: uow.outbox.claim(16, 30),
    "commands-late": lambda uow, _: uow.outbox.take_over(16),
    "commands-done": lambda uow, _: uow.outbox.forget_done(DAYS, BATCH),
    "commands-unfinished": lambda uow, s: uow.outbox.unfinished([s.package_id]),
    "commands-listed": lambda uow, _: uow.outbox_entries.list_entries(None, PAGE, 0),
    "commands-done-listed": lambda uow, _: uow.outbox_entries.list_entries(CommandState.DONE, PAGE, 0),
    "commands-stuck": lambda uow, _: uow.consistency.stuck_commands(0, BATCH, MINUTES),
    "legacy-writes-moved": lambda uow, _: uow.legacy_writes.moved(BATCH),
    "legacy-writes-pending": lambda uow, _: uow.legacy_writes.follow(BATCH),
    "requests-past": lambda uow, _: uow.requests.forget(DAYS, BATCH),
    "mapping-checked": lambda uow, s: uow.consistency.mapping_differences(s.package_id // 2, BATCH),
    "events-checked": lambda uow, s: uow.consistency.event_differences(s.package_id // 2, BATCH),
    "proofs-checked": lambda uow, s: uow.consistency.proof_differences(s.package_id // 2, BATCH),
    "holds-checked": lambda uow, s: uow.consistency.tracked_packages(s.package_id // 2, BATCH),
}
