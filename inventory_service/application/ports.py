"""What the use cases need from outside: the books of one transaction, and their readers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from inventory_service.application.fact_ports import DailyFacts
from inventory_service.application.import_ports import Imports
from inventory_service.application.ledger_ports import LedgerArchive, LedgerPartitions
from inventory_service.application.report_ports import LowStocks, Metrics
from inventory_service.domain.availability import Hold
from inventory_service.domain.commands import ReservationCommand, StockCommand
from inventory_service.domain.errors import Holder
from inventory_service.domain.movement import Movement, MovementReason, RecordedMovement
from inventory_service.domain.reservation import Reservation, ReservationState
from inventory_service.domain.stock import Listing, Platform, StatusChange, Stock, StockDetails, StockStatus
from inventory_service.domain.stock_book import StockBook


@dataclass(frozen=True)
class StockFilter:
    """Which stocks to list; None filters nothing. `by_sku` orders by sku, else the newest come first."""

    sku_prefix: str | None = None
    product_id: UUID | None = None
    status: StockStatus | None = None
    platform: Platform | None = None
    available_at_most: int | None = None
    updated_since: datetime | None = None
    by_sku: bool = False


StockKey = str | tuple[datetime, UUID]
"""Where a page of stocks begins: behind a sku where they are ordered by it, else behind (create_time, id)."""


@dataclass(frozen=True)
class ReservationFilter:
    """Which reservations to list, the newest first; None filters nothing."""

    holder: str | None = None
    sku: str | None = None
    state: ReservationState | None = None
    expire_before: datetime | None = None


@dataclass(frozen=True)
class MovementFilter:
    """Which movements to list, the newest first; None filters nothing."""

    sku: str | None = None
    reason: MovementReason | None = None
    reference: str | None = None
    reservation_id: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None


@dataclass(frozen=True)
class Tally:
    """A number of a stock as it is recorded, and what its parts add up to; in healthy books they are equal."""

    stock_id: UUID
    sku: str
    recorded: int
    counted: int


class StockBooks(Protocol):
    """The books that a transaction holds locked.

    Locks are always taken in one order: stock rows by id, then reservation ids, then reservation rows by id.
    """

    async def open(self, commands: Sequence[ReservationCommand | StockCommand]) -> StockBook:
        """Locks and loads every stock and reservation that the commands can touch, due holds included."""
        ...

    async def save(self, book: StockBook) -> list[RecordedMovement]:
        """Writes back what the book's commands changed; answers the entries of the ledger, in their order."""
        ...

    async def begin_sweep(self) -> bool:
        """Whether this transaction is the only one that sweeps."""
        ...


class Stocks(Protocol):
    """The stocks."""

    async def add(self, sku: str, quantity: int, status: StockStatus, details: StockDetails) -> UUID | None:
        """Adds a stock and answers its id; None if another one bears the sku."""
        ...

    async def add_missing(self, wanted: Mapping[str, tuple[int, StockDetails]]) -> Mapping[str, UUID]:
        """Adds a stock, IN_STOCK, with its quantity and details for each sku that none bears; answers the ids of
        these, by sku."""
        ...

    async def update(self, stock_id: UUID, changes: Mapping[str, object], now: datetime) -> None:
        """Writes values of details, by name, into a stock that is locked."""
        ...

    async def update_many(self, changes: Mapping[UUID, Mapping[str, object]], now: datetime) -> None:
        """Writes values of details, by id and name, into stocks that are locked."""
        ...

    async def enter_status(self, stock_id: UUID, change: StatusChange, now: datetime) -> None:
        """Moves a stock that is locked to another status and appends the change to its history."""
        ...

    async def add_listing(self, stock_id: UUID, listing: Listing, now: datetime) -> None:
        """Appends an offer to a stock that is locked."""
        ...

    async def change_listing(
        self, stock_id: UUID, listing: Listing, changes: Mapping[str, object], now: datetime
    ) -> None:
        """Writes values, by name, into an open offer of a stock that is locked."""
        ...

    async def end_listing(self, stock_id: UUID, listing: Listing, now: datetime) -> None:
        """Ends an open offer of a stock that is locked."""
        ...

    async def remove(self, stock_id: UUID, now: datetime) -> None:
        """Removes a stock that is locked; its sku stays known to the history."""
        ...

    async def get(self, sku: str) -> Stock | None:
        """The stock as it is now."""
        ...

    async def get_many(self, skus: Sequence[str]) -> Mapping[str, Stock]:
        """The stocks that there are of these, by sku."""
        ...

    async def list_stocks(self, wanted: StockFilter, size: int, after: StockKey | None) -> list[Stock]:
        """At most `size` stocks that come after the one with the key `after`."""
        ...


class Reservations(Protocol):
    """The reservations, for readers; `StockBooks` writes them."""

    async def get(self, reservation_id: str) -> Reservation | None:
        """The reservation as it is stored."""
        ...

    async def list_reservations(
        self, wanted: ReservationFilter, size: int, after: tuple[datetime, str] | None
    ) -> list[Reservation]:
        """At most `size` reservations, the newest first, after the one with this create_time and id."""
        ...

    async def list_holders(
        self, skus: Collection[str], now: datetime, most: int
    ) -> Mapping[str, Sequence[Holder]]:
        """Who holds the units of stocks at a time, by sku, the oldest holds first, at most `most` of each."""
        ...

    async def list_holds(self, sku: str, most: int) -> list[Hold]:
        """The open holds upon a stock that are not past their time, the oldest first, at most `most`."""
        ...

    async def due_quantities(self, skus: Sequence[str]) -> Mapping[str, int]:
        """Units, by sku, that are stored as held although their time has come."""
        ...

    async def list_due(self, most: int) -> list[str]:
        """The ids of holds that are past their time, the longest first, at most `most`."""
        ...


class Movements(Protocol):
    """The ledger."""

    async def add(self, movements: Sequence[Movement], now: datetime) -> list[RecordedMovement]:
        """Enters movements of one time; answers the entries in their order."""
        ...

    async def total(self, stock_id: UUID) -> int:
        """The sum of all movements of a stock, those of archived months included."""
        ...

    async def archived_total(self, stock_id: UUID) -> int:
        """The part of it that archived months brought."""
        ...

    async def list_movements(
        self, wanted: MovementFilter, size: int, after: tuple[datetime, int] | None
    ) -> list[RecordedMovement]:
        """At most `size` movements, the newest first, after the one with this create_time and number."""
        ...


class Tallies(Protocol):
    """What the books say twice. Each method answers at most `size` stocks whose ids come after `after`."""

    async def ledger(self, after: UUID, size: int) -> list[Tally]:
        """`quantity`, and the sum of the movements and of archived months; of removed stocks too, which have 0."""
        ...

    async def holds(self, after: UUID, size: int) -> list[Tally]:
        """`reserved_quantity`, and the sum of the lines of open holds."""
        ...

    async def lines(self, after: UUID, size: int) -> list[Tally]:
        """The sum of the lines that are marked open, and of those whose reservation is."""
        ...

    async def alerts(self, after: UUID, size: int) -> list[Tally]:
        """The open alerts of low stock, none or one, and how many its threshold asks for."""
        ...


class UnitOfWork(Protocol):
    """One transaction over the books; `now` is the database's time at its beginning."""

    @property
    def now(self) -> datetime: ...
    @property
    def books(self) -> StockBooks: ...
    @property
    def stocks(self) -> Stocks: ...
    @property
    def reservations(self) -> Reservations: ...
    @property
    def movements(self) -> Movements: ...
    @property
    def imports(self) -> Imports: ...
    @property
    def ledger_partitions(self) -> LedgerPartitions: ...
    @property
    def ledger_archive(self) -> LedgerArchive: ...
    @property
    def tallies(self) -> Tallies: ...
    @property
    def metrics(self) -> Metrics: ...
    @property
    def low_stocks(self) -> LowStocks: ...
    @property
    def daily_facts(self) -> DailyFacts: ...
