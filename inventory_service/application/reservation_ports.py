"""What the use cases need of reservations: the books that decide on them, and their readers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from inventory_service.domain.availability import Hold
from inventory_service.domain.commands import ReservationCommand, StockCommand
from inventory_service.domain.errors import Holder
from inventory_service.domain.movement import RecordedMovement
from inventory_service.domain.reservation import Reservation, ReservationState
from inventory_service.domain.stock_book import StockBook


@dataclass(frozen=True)
class ReservationFilter:
    """Which reservations to list, the newest first; None filters nothing."""

    holder: str | None = None
    sku: str | None = None
    state: ReservationState | None = None
    expire_before: datetime | None = None


class StockBooks(Protocol):
    """The books that a transaction holds locked.

    Locks are always taken in one order: stock rows by id, then reservation ids, then reservation rows by id, then
    the keys of requests. Only for stock rows and reservation rows does anybody wait with locks in hand.
    """

    async def open(
        self, commands: Sequence[ReservationCommand | StockCommand], *, skip_locked: bool = False
    ) -> StockBook:
        """Locks and loads every stock and reservation that the commands can touch.

        Where a stock may be short, up to 1,000 holds upon it that are past their time belong to these, the longest
        due first. Nobody is waited for who has the name of a reservation, and with `skip_locked` nobody who has a
        stock or a reservation's row: the book says what was left out.
        """
        ...

    async def save(self, book: StockBook) -> list[RecordedMovement]:
        """Writes back what the book's commands changed; answers the entries of the ledger, in their order."""
        ...

    async def begin_sweep(self) -> bool:
        """Whether this transaction is the only one that sweeps."""
        ...


class RequestKey(Protocol):
    """What names a request: who asked, what, under which id; `digest` is the SHA-256 (hex) of its content."""

    @property
    def caller(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def request_id(self) -> str: ...
    @property
    def digest(self) -> str: ...


class Answers(Protocol):
    """What requests were answered, so that one that is repeated gets the same again."""

    async def open(self, keys: Sequence[RequestKey]) -> None:
        """Locks the keys that nobody else has locked, and loads what is on record of these."""
        ...

    def find(self, key: RequestKey) -> bytes | Exception | None:
        """The answer on record, or why the key cannot be used, be it that it is Locked; None for a new one."""
        ...

    def put(self, key: RequestKey, response: bytes) -> None:
        """Writes an answer down."""
        ...

    async def save(self) -> None:
        """Puts on record what was written down."""
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

    async def list_due(self, most: int, passed: Collection[str] = ()) -> list[str]:
        """The ids of holds that are past their time, the longest first, at most `most`, without those `passed`."""
        ...
