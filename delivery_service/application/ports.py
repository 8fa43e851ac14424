"""What the use cases need from outside."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, TypeVar

from delivery_service.domain.directory import Driver, Warehouse
from delivery_service.domain.evidence import Evidence, Photo
from delivery_service.domain.order import Order, OrderPackage
from delivery_service.domain.package import Package
from delivery_service.domain.package_event import PackageEvent
from delivery_service.domain.reservation import Shortage, StockCommand
from delivery_service.domain.workflow import (
    EvidenceKind,
    OrderStatus,
    PackageState,
    StockState,
    Workflow,
)

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
    """Orders and what old readers see of them."""

    async def get(self, order_id: int) -> Order | None: ...

    async def lock(self, order_ids: Collection[int]) -> list[Order]:
        """Locks the orders that exist, by id; waits for other holders."""

    async def add(self, order: Order) -> bool:
        """Stores a new order with its items; False where its id or one of its numbers is taken."""

    async def save_status(self, order_id: int, status: OrderStatus) -> None: ...

    async def project(self, order_id: int, status: OrderStatus, furthest: PackageState | None) -> None:
        """Writes what old readers see: the order's status and how far its packages are."""

    async def add_action(self, order_ids: Sequence[int], event: PackageEvent) -> None:
        """Writes the old audit rows of a step; none for a verb that the old system did not know."""

    async def list_orders(self, which: OrderFilter, size: int, before: int | None) -> list[Order]:
        """Newest id first."""


class Packages(Protocol):
    """Packages with their orders and items."""

    async def get(self, package_sn: str) -> Package | None: ...

    async def lock(self, package_sn: str) -> Package | None:
        """Locks the package's row. Lock its orders first, where they are needed at all."""

    async def add(self, package: Package) -> Package | None:
        """Stores a new package; None where its package_sn is taken. Raises OrderAlreadyPacked."""

    async def save(self, package: Package) -> None:
        """Stores what can change: state, stock, driver, times."""

    async def order_ids(self, package_sn: str) -> tuple[int, ...] | None:
        """The package's orders, which never change; None where there is no such package."""

    async def of_orders(self, order_ids: Collection[int]) -> list[OrderPackage]:
        """Every package of these orders, past ones too, leg 0 first."""

    async def packed_units(self, order_item_ids: Collection[int], leg: int) -> Mapping[int, int]:
        """Units of each order item in packages of a leg that are not cancelled."""

    async def units_in(self, package_ids: Collection[int]) -> Mapping[int, int]:
        """Units of each order item in these packages."""

    async def list_packages(self, which: PackageFilter, size: int, before: int | None) -> list[Package]:
        """Newest first, by package_id."""

    async def with_reservations(self, reservation_ids: Collection[str]) -> list[Package]:
        """The packages whose present hold is one of these."""

    async def distribution(self) -> list[tuple[Workflow, PackageState, int]]:
        """Packages by workflow and state."""

    async def order_counts(self) -> Mapping[Workflow, int]:
        """Distinct orders in the packages of each workflow."""


class PackageEvents(Protocol):
    """The timeline."""

    async def last(self, package_id: int) -> PackageEvent | None: ...

    async def add(self, package_id: int, event: PackageEvent) -> None: ...

    async def completed_from(self, state: PackageState, package_ids: Collection[int]) -> set[int]:
        """Those of the packages that were completed from this state."""

    async def list_events(self, package_id: int, size: int, after: int | None) -> list[PackageEvent]:
        """Oldest first, by sequence."""


class EvidenceRecords(Protocol):
    """What is known of photos."""

    async def get(self, evidence_id: str) -> Evidence | None: ...

    async def list_by_ids(self, evidence_ids: Collection[str]) -> list[Evidence]: ...

    async def add(self, package_id: int, evidence: Evidence) -> Evidence:
        """Stores it; answers the first one where these bytes are there for this package and kind."""

    async def use(self, evidence: Collection[Evidence], sequence: int) -> None:
        """Marks the photos as proof of the package's event `sequence`. Raises EvidenceAlreadyUsed."""

    async def remove_unused(self, before: datetime, most: int) -> list[Evidence]:
        """Deletes photos older than this that prove nothing, oldest first; answers what they were."""

    async def remove(self, evidence_id: str) -> bool:
        """Deletes a photo's record unless it proves a transition; False where it does, or is away."""

    async def known(self, evidence_ids: Collection[str], digests: Collection[str]) -> set[str]:
        """Those of the ids, and of the digests, that a record bears."""

    async def same_bytes(self, sha256: str) -> list[Evidence]:
        """Every record of these bytes."""

    async def page(self, after: str, size: int) -> list[Evidence]:
        """All records by evidence_id."""

    async def list_evidence(
        self, package_id: int, kind: EvidenceKind | None, size: int, before: tuple[datetime, str] | None
    ) -> list[Evidence]:
        """Newest first."""


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


@dataclass(frozen=True)
class Task:
    """One command for inventory, on lease to this process under `token`."""

    entry_id: int
    package_sn: str
    command: StockCommand
    reservation_id: str
    lines: Mapping[str, int]
    trace: str
    token: str
    attempts: int


class Outbox(Protocol):
    """The commands that still have to reach inventory. One package's commands go out in the order they came in."""

    async def add(self, package: Package, command: StockCommand, trace: str) -> None:
        """Puts in a command about the package's present hold. A release closes an unfinished reserve."""

    async def take_over(self, most: int) -> int:
        """Puts entries with an expired lease back; answers how many."""

    async def claim(self, most: int, lease_seconds: float) -> list[Task]:
        """Takes due entries on lease, at most one a package."""

    async def done(self, task: Task) -> bool:
        """Closes an entry; False where the lease is no longer ours."""

    async def try_later(self, task: Task, error: str, seconds: float) -> bool:
        """Puts an entry back for later; False where the lease is no longer ours."""

    async def park(self, task: Task, error: str) -> bool:
        """Sets an entry aside for people; False where the lease is no longer ours."""

    async def unfinished(self, package_ids: Collection[int]) -> set[int]:
        """Those of the packages of which a command is under way or parked."""

    async def lock_stuck(self, entry_id: int, overdue: timedelta) -> "StuckCommand | None":
        """Locks an entry that is parked or overdue still. The package's row is locked first."""

    async def put_back(self, entry_id: int) -> None:
        """Makes an entry due now, whoever has it."""

    async def close(self, entry_id: int) -> None:
        """Ends an entry that shall not be sent any more."""

    async def forget_done(self, age: timedelta, most: int) -> int:
        """Deletes closed entries older than `age`; answers how many."""


@dataclass(frozen=True)
class StuckCommand:
    """A command that inventory refused (`parked`), or that takes too long."""

    command: StockCommand
    reservation_id: str
    parked: bool


class Drift(StrEnum):
    """How two records can disagree; each has a repair of its own."""

    ORDERS = "ORDERS"
    LEGS = "LEGS"
    STATE = "STATE"
    TIMELINE = "TIMELINE"
    COMMAND = "COMMAND"
    HOLD = "HOLD"
    ORPHAN_HOLD = "ORPHAN_HOLD"
    PROOF = "PROOF"
    PHOTO = "PHOTO"
    STRAY_BYTES = "STRAY_BYTES"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Inconsistency:
    """Two records that must agree and do not."""

    drift: Drift
    subject: str
    description: str
    facts: Mapping[str, str]


Looked = tuple[int | None, list[Inconsistency]]
"""The id to go on after, None at the end, and what was found."""


class Consistency(Protocol):
    """Looks for records that must agree and do not, a page at a time."""

    async def mapping_differences(self, after: int, size: int) -> Looked: ...

    async def event_differences(self, after: int, size: int) -> Looked: ...

    async def proof_differences(self, after: int, size: int) -> Looked:
        """Photos that an event names as its proof and that are not marked as used by it."""

    async def stuck_commands(self, after: int, size: int, overdue: timedelta) -> Looked:
        """Parked commands, and unfinished ones that are older than `overdue`."""

    async def tracked_packages(self, after: int, size: int) -> list[Package]:
        """Packages that have, or had, a hold, by package_id."""


@dataclass(frozen=True)
class RepairRecord:
    """A repair that was made, of what, and for whom."""

    caller: str
    request_id: str
    check: str
    found: Inconsistency
    repair: str
    trace: str


class Repairs(Protocol):
    """The record of repairs, and the writes that only a repair needs."""

    async def add(self, record: RepairRecord) -> None: ...

    async def list_repairs(
        self, caller: str, request_id: str, after: int, size: int
    ) -> list[tuple[int, RepairRecord]]:
        """What was repaired for one request, oldest first, by number."""

    async def listed_orders(self, package_sn: str) -> tuple[str, tuple[int, ...]]:
        """The projection `order_ids` as it is, and the order ids that can be read in it."""

    async def list_orders_as(self, package: Package) -> None:
        """Writes the projection `order_ids` from the mapping."""

    async def map_order(self, package_id: int, order_id: int) -> None:
        """Adds an order to a package, without its leg."""

    async def legs(self, package_id: int) -> Mapping[int, int | None]:
        """The leg that the package takes of each of its orders."""

    async def free_legs(self, package_id: int) -> None: ...

    async def take_leg(self, package_id: int, order_id: int, leg: int) -> bool:
        """False where another package has it."""

    async def mark_used(self, evidence_id: str, sequence: int) -> bool:
        """Marks a photo as proof; False where its bytes prove something else."""


class UnitOfWork(Protocol):
    """One transaction. `now` is the database's time when it began."""

    @property
    def now(self) -> datetime: ...
    @property
    def orders(self) -> Orders: ...
    @property
    def packages(self) -> Packages: ...
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
    def consistency(self) -> Consistency: ...
    @property
    def repairs(self) -> Repairs: ...


class Transactions(Protocol):
    """Runs work in transactions."""

    async def run(self, work: Callable[[UnitOfWork], Awaitable[T]], *, name: str = "") -> T:
        """Commits; runs the work again where other work was in the way."""

    async def read(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Never commits."""


@dataclass(frozen=True)
class Done:
    """Inventory did it, or had done it before."""


@dataclass(frozen=True)
class TryLater:
    """Whether inventory did it is not known, or it could not for now."""

    error: str


@dataclass(frozen=True)
class Refused:
    """Inventory refuses, and would refuse again."""

    reason: str
    description: str
    shortages: tuple[Shortage, ...] = ()


Answer = Done | TryLater | Refused


@dataclass(frozen=True)
class Hold:
    """A reservation as inventory has it; `state` is HELD, COMMITTED, RELEASED or EXPIRED."""

    reservation_id: str
    state: str
    lines: Mapping[str, int]
    create_time: datetime | None = None


class InventoryUnreachable(Exception):
    """Inventory could not be asked; nothing is known."""


class Inventory(Protocol):
    """The service that holds the stock. Every call may be repeated without a second effect."""

    async def reserve(self, reservation_id: str, lines: Mapping[str, int], trace: str) -> Answer: ...

    async def commit(self, reservation_id: str, trace: str) -> Answer: ...

    async def release(self, reservation_id: str, trace: str) -> Answer: ...

    def holds(self) -> AsyncIterator[Hold]:
        """Every open hold that this service has made. Raises InventoryUnreachable."""

    async def hold(self, reservation_id: str) -> Hold | None:
        """One hold, in whatever state. Raises InventoryUnreachable."""


@dataclass(frozen=True)
class KeptPhoto:
    """Bytes in the store; `write_time` is by the store's clock."""

    name: str
    write_time: datetime


class PhotoStore(Protocol):
    """The bytes of photos, by name. Every method raises StorageUnavailable."""

    async def put(self, name: str, content: bytes) -> None:
        """Keeps the bytes for good before it returns. Raises StorageFull."""

    async def get(self, name: str) -> bytes | None: ...

    async def remove(self, name: str) -> None:
        """Takes the bytes away; nothing where they are away already."""

    async def list_folder(self, folder: str) -> list[KeptPhoto]:
        """Everything in one of the folders `00` to `ff`."""


class PhotoReader(Protocol):
    """Tells what a photo is, from its bytes alone."""

    async def read(self, content: bytes) -> Photo:
        """Raises PhotoUnreadable."""
