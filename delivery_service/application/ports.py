"""What the use cases need from outside."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from delivery_service.application.consistency_ports import Consistency, Repairs
from delivery_service.application.legacy_ports import LegacyWrites
from delivery_service.application.outbox_ports import OutboxEntries
from delivery_service.application.packing_ports import Packing
from delivery_service.application.photo_ports import EvidenceRecords
from delivery_service.application.stock_ports import Outbox
from delivery_service.domain.directory import Driver, Warehouse
from delivery_service.domain.order import Order, OrderPackage
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import PackageEvent
from delivery_service.domain.workflow import OrderStatus, PackageState, StockState, Workflow

T = TypeVar("T")


@dataclass(frozen=True)
class OrderFilter:
    """Which orders; None matches all."""

    shop_id: int | None = None
    user_id: int | None = None
    status: OrderStatus | None = None


@dataclass(frozen=True)
class PackageFilter:
    """Which packages; None matches all. `claimable`: PREPARED, by driver, claimed by nobody."""

    workflow: Workflow | None = None
    state: PackageState | None = None
    stock_state: StockState | None = None
    shop_id: int | None = None
    driver_id: int | None = None
    warehouse_id: int | None = None
    order_id: int | None = None
    claimable: bool = False


class Orders(Protocol):
    """Orders and what old readers see of them. Whatever answers an order raises OrderUnreadable, but lists."""

    async def get(self, order_id: int) -> Order | None: ...

    async def lock(self, order_ids: Collection[int]) -> list[Order]:
        """Locks the orders that exist, by id; waits for other holders."""

    async def called_off(self, order_ids: Collection[int]) -> tuple[int, ...]:
        """Those of the orders that are CANCELLED, by id."""

    async def ordered_units(self, order_item_ids: Collection[int]) -> Mapping[int, int]:
        """Units of each order item that exists."""

    async def add(self, order: Order) -> bool:
        """Stores a new order with its items; False where its id or one of its numbers is taken."""

    async def save_status(self, order_id: int, status: OrderStatus) -> None: ...

    async def project(self, order_id: int, status: OrderStatus, furthest: PackageState | None) -> None:
        """Writes what old readers see: the order's status and how far its packages are."""

    async def seen_as(self, order_ids: Collection[int]) -> Mapping[int, PackageState | None]:
        """How far old readers see these orders; None where they see nothing that is known."""

    async def add_action(self, order_ids: Sequence[int], event: PackageEvent) -> None:
        """Writes the old audit rows of a step; none for a verb that the old system did not know."""

    async def list_by_ids(self, order_ids: Collection[int]) -> list[Order]:
        """Those that exist, not locked. Raises OrderUnreadable."""

    async def list_orders(self, which: OrderFilter, size: int, before: int | None) -> list[Order]:
        """Newest id first, those that can be read."""


class Packages(Protocol):
    """Packages with their orders and items. Whatever answers a package raises PackageUnreadable, but lists."""

    async def get(self, package_sn: str) -> Package | None: ...

    async def lock(self, package_sn: str) -> Package | None:
        """Locks the package's row. Lock its orders first, where they are needed at all."""

    async def lock_free(self, package_sns: Collection[str]) -> Mapping[str, Package]:
        """Locks those that nobody else has locked and that can be read, by package_sn; waits for nobody."""

    async def save(self, package: Package) -> None:
        """Stores what can change: state, stock, driver, times. The orders of one that ends are locked: each leg that
        it had goes to the active package with the lowest id that waits for it.
        """

    async def save_stock(self, packages: Collection[Package]) -> None:
        """Stores what inventory's answers change, of packages whose rows are locked: their stock."""

    async def order_ids(self, package_sn: str) -> tuple[int, ...] | None:
        """The package's orders, None where there is no such package; follows first what the old application wrote."""

    async def of_orders(self, order_ids: Collection[int]) -> list[OrderPackage]:
        """Every package of these orders, past ones too, leg 0 first."""

    async def list_of_orders(self, order_ids: Collection[int]) -> list[OrderPackage]:
        """Those of them that can be read."""

    async def packed_units(self, order_item_ids: Collection[int], leg: int) -> Mapping[int, int]:
        """Units of each order item in packages of a leg that are not cancelled."""

    async def units_in(self, package_ids: Collection[int]) -> Mapping[int, int]:
        """Units of each order item in these packages."""

    async def list_packages(self, which: PackageFilter, size: int, before: int | None) -> list[Package]:
        """Newest first, by package_id, those that can be read."""

    async def versions_by_hold(self, reservation_ids: Collection[str]) -> Mapping[str, int]:
        """Those of the ids that are a package's present hold, with the package's version."""

    async def distribution(self) -> list[tuple[Workflow, PackageState, int]]:
        """Packages by workflow and state, of those that are known."""

    async def order_counts(self) -> Mapping[Workflow, int]:
        """Distinct orders in the packages that `distribution` counts, by workflow."""


class PackageEvents(Protocol):
    """The timeline."""

    async def last(self, package_id: int) -> PackageEvent | None: ...

    async def add(self, package_id: int, event: PackageEvent) -> None: ...

    async def completed_from(self, state: PackageState, package_ids: Collection[int]) -> set[int]:
        """Those of the packages that were completed from this state."""

    async def list_events(self, package_id: int, size: int, after: int | None) -> list[PackageEvent]:
        """Oldest first, by sequence."""


class Drivers(Protocol):
    """Drivers."""

    async def get(self, driver_id: int) -> Driver | None: ...

    async def add(self, driver: Driver) -> Driver | None:
        """Stores a driver; None where the id or the phone is taken."""

    async def by_phone(self, phone: str) -> Driver | None: ...

    async def save_active(self, driver_id: int, active: bool) -> None: ...


class Warehouses(Protocol):
    """Warehouses."""

    async def get(self, warehouse_id: int) -> Warehouse | None: ...

    async def add(self, warehouse: Warehouse) -> Warehouse | None:
        """Stores a warehouse; None where the id or the code is taken."""

    async def by_code(self, code: str) -> Warehouse | None: ...


class UnitOfWork(Protocol):
    """One transaction. `now` is the database's time when it began."""

    @property
    def now(self) -> datetime: ...

    def together(self) -> AbstractAsyncContextManager[None]:
        """What is written within may be sent later, all at once, at the end at the latest."""

    @property
    def orders(self) -> Orders: ...
    @property
    def packages(self) -> Packages: ...
    @property
    def packing(self) -> Packing: ...
    @property
    def events(self) -> PackageEvents: ...
    @property
    def evidence(self) -> EvidenceRecords: ...
    @property
    def drivers(self) -> Drivers: ...
    @property
    def warehouses(self) -> Warehouses: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def outbox_entries(self) -> OutboxEntries: ...
    @property
    def consistency(self) -> Consistency: ...
    @property
    def repairs(self) -> Repairs: ...
    @property
    def legacy_writes(self) -> LegacyWrites: ...


class Transactions(Protocol):
    """Runs work in transactions."""

    async def run(self, work: Callable[[UnitOfWork], Awaitable[T]], *, name: str = "") -> T:
        """Commits; runs the work again where other work was in the way."""

    async def read(self, work: Callable[[UnitOfWork], Awaitable[T]], *, one_snapshot: bool = False) -> T:
        """Never commits. With `one_snapshot` all its statements see the data as of one instant."""
