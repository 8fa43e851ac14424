"""What the use cases need from outside: the books of one transaction, and their readers."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID

from inventory_service.application.fact_ports import DailyFacts
from inventory_service.application.import_ports import Imports
from inventory_service.application.ledger_ports import LedgerArchive, LedgerPartitions
from inventory_service.application.locks import Locks
from inventory_service.application.repair_ports import Repairs
from inventory_service.application.report_ports import LowStocks, Metrics
from inventory_service.application.reservation_ports import Answers, Reservations, StockBooks
from inventory_service.application.stock_ports import Stocks
from inventory_service.domain.movement import Movement, MovementReason, RecordedMovement

T = TypeVar("T")


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
    def locks(self) -> Locks: ...
    @property
    def books(self) -> StockBooks: ...
    @property
    def answers(self) -> Answers: ...
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
    @property
    def repairs(self) -> Repairs: ...


class Transactions(Protocol):
    """Runs work in transactions."""

    async def run(self, work: Callable[[UnitOfWork], Awaitable[T]], *, name: str = "") -> T:
        """Commits; runs the work again where other work was in the way."""
        ...

    async def read(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Never commits."""
        ...
