"""Delivery's store in memory: orders, packages, their events and photos, as far as packages' steps need them."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from chaos.simulator.outbox import Entry, SimulatedOutbox
from delivery_service.application.packing_ports import BeforePacking
from delivery_service.domain.directory import Driver
from delivery_service.domain.errors import EvidenceAlreadyUsed, OrderAlreadyPacked
from delivery_service.domain.evidence import Evidence
from delivery_service.domain.order import Order, OrderPackage
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import PackageEvent
from delivery_service.domain.workflow import OrderStatus, PackageState, Verb


@dataclass
class Parcels:
    """What delivery knows."""

    orders: dict[int, Order] = field(default_factory=dict)
    packages: dict[str, Package] = field(default_factory=dict)
    events: dict[int, tuple[PackageEvent, ...]] = field(default_factory=dict)
    """By package_id."""
    evidence: dict[str, Evidence] = field(default_factory=dict)
    outbox: dict[int, Entry] = field(default_factory=dict)

    def copy(self) -> Self:
        """The same, to be changed by itself."""
        return replace(
            self,
            orders=dict(self.orders),
            packages=dict(self.packages),
            events=dict(self.events),
            evidence=dict(self.evidence),
            outbox=dict(self.outbox),
        )


class ParcelsUnitOfWork:
    """One transaction upon the parcels."""

    def __init__(self, parcels: Parcels, now: datetime) -> None:
        self.now = now
        self.orders = SimulatedOrders(parcels)
        self.packages = SimulatedPackages(parcels)
        self.packing = SimulatedPacking(parcels)
        self.events = SimulatedEvents(parcels)
        self.evidence = SimulatedEvidence(parcels)
        self.drivers = Everybody()
        self.outbox = SimulatedOutbox(parcels.outbox, now)

    def together(self) -> AbstractAsyncContextManager[None]:
        """Everything is sent at once anyway."""
        return nullcontext()


class SimulatedOrders:
    """Orders, without what old readers see of them."""

    def __init__(self, parcels: Parcels) -> None:
        self._orders = parcels.orders

    async def get(self, order_id: int) -> Order | None:
        return self._orders.get(order_id)

    async def lock(self, order_ids: Collection[int]) -> list[Order]:
        return [self._orders[order_id] for order_id in sorted(order_ids) if order_id in self._orders]

    async def called_off(self, order_ids: Collection[int]) -> tuple[int, ...]:
        orders = await self.lock(order_ids)
        return tuple(order.order_id for order in orders if order.status is OrderStatus.CANCELLED)

    async def add(self, order: Order) -> bool:
        return self._orders.setdefault(order.order_id, order) is order

    async def save_status(self, order_id: int, status: OrderStatus) -> None:
        self._orders[order_id] = replace(self._orders[order_id], status=status)

    async def project(self, order_id: int, status: OrderStatus, furthest: PackageState | None) -> None:
        await self.save_status(order_id, status)

    async def add_action(self, order_ids: Sequence[int], event: PackageEvent) -> None:
        pass


class SimulatedPackages:
    """Packages with their orders and items."""

    def __init__(self, parcels: Parcels) -> None:
        self._packages = parcels.packages

    async def get(self, package_sn: str) -> Package | None:
        return self._packages.get(package_sn)

    async def lock(self, package_sn: str) -> Package | None:
        return self._packages.get(package_sn)

    async def lock_free(self, package_sns: Collection[str]) -> Mapping[str, Package]:
        return {sn: self._packages[sn] for sn in package_sns if sn in self._packages}

    async def save(self, package: Package) -> None:
        assert package.version == self._packages[package.package_sn].version + 1
        self._packages[package.package_sn] = package

    async def save_stock(self, packages: Collection[Package]) -> None:
        for package in packages:
            await self.save(package)

    async def order_ids(self, package_sn: str) -> tuple[int, ...] | None:
        package = self._packages.get(package_sn)
        return None if package is None else package.order_ids

    async def of_orders(self, order_ids: Collection[int]) -> list[OrderPackage]:
        return [
            OrderPackage(
                order_id,
                package.package_id,
                package.package_sn,
                package.workflow,
                package.leg,
                package.state,
                package.warehouse_id,
            )
            for package in sorted(self._packages.values(), key=lambda package: package.leg)
            for order_id in package.order_ids
            if order_id in order_ids
        ]

    async def packed_units(self, order_item_ids: Collection[int], leg: int) -> Mapping[int, int]:
        living = [
            package
            for package in self._packages.values()
            if package.leg == leg and package.state is not PackageState.CANCELLED
        ]
        return _units(living, order_item_ids)

    async def units_in(self, package_ids: Collection[int]) -> Mapping[int, int]:
        return _units([each for each in self._packages.values() if each.package_id in package_ids])


class SimulatedPacking:
    """New packages."""

    def __init__(self, parcels: Parcels) -> None:
        self._parcels = parcels
        self._packages = SimulatedPackages(parcels)

    async def look(
        self,
        package_sn: str | None,
        order_ids: Collection[int],
        order_item_ids: Collection[int],
        warehouse_id: int | None,
    ) -> BeforePacking:
        return BeforePacking(
            package_known=package_sn in self._parcels.packages,
            warehouse_known=True,
            packages=await self._packages.of_orders(order_ids),
            packed_units=await self._packages.packed_units(order_item_ids, leg=0),
            unfollowed=False,
        )

    async def add(self, package: Package) -> Package | None:
        if package.package_sn in self._parcels.packages:
            return None
        others = await self._packages.of_orders(package.order_ids)
        taken = {other.order_id for other in others if other.leg == package.leg and other.state.active}
        if taken:
            raise OrderAlreadyPacked(tuple(sorted(taken)), package.leg)
        stored = replace(package, package_id=len(self._parcels.packages) + 1)
        self._parcels.packages[package.package_sn] = stored
        return stored


class SimulatedEvents:
    """The timeline."""

    def __init__(self, parcels: Parcels) -> None:
        self._events = parcels.events

    async def last(self, package_id: int) -> PackageEvent | None:
        events = self._events.get(package_id)
        return events[-1] if events else None

    async def add(self, package_id: int, event: PackageEvent) -> None:
        self._events[package_id] = (*self._events.get(package_id, ()), event)

    async def completed_from(self, state: PackageState, package_ids: Collection[int]) -> set[int]:
        return {
            package_id
            for package_id in package_ids
            if any(
                event.verb is Verb.COMPLETE and event.from_state is state
                for event in self._events[package_id]
            )
        }


class SimulatedEvidence:
    """What is known of photos."""

    def __init__(self, parcels: Parcels) -> None:
        self._evidence = parcels.evidence

    async def add(self, package_id: int, evidence: Evidence) -> Evidence:
        return self._evidence.setdefault(evidence.evidence_id, evidence)

    async def list_by_ids(self, evidence_ids: Collection[str]) -> list[Evidence]:
        return [self._evidence[each] for each in evidence_ids if each in self._evidence]

    async def use(self, evidence: Collection[Evidence], sequence: int) -> None:
        used = tuple(each.evidence_id for each in evidence if self._evidence[each.evidence_id].used)
        if used:
            raise EvidenceAlreadyUsed(used)
        for each in evidence:
            self._evidence[each.evidence_id] = replace(each, used=True)


class Everybody:
    """Drivers: whoever asks is one."""

    async def get(self, driver_id: int) -> Driver | None:
        return Driver(driver_id, f"Driver {driver_id}", f"+{driver_id}", active=True)


def _units(packages: Collection[Package], wanted: Collection[int] | None = None) -> Mapping[int, int]:
    units: dict[int, int] = {}
    for package in packages:
        for item in package.items:
            if item.order_item_id is not None and (wanted is None or item.order_item_id in wanted):
                units[item.order_item_id] = units.get(item.order_item_id, 0) + item.quantity
    return units
