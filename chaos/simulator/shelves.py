"""Inventory's store in memory: levels, reservations and the ledger, as far as the verbs of reservations need them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self
from uuid import UUID, uuid5

from inventory_service.application.reservation_ports import RequestKey, ReservationFilter
from inventory_service.domain.commands import ReservationCommand, StockCommand
from inventory_service.domain.movement import Movement, MovementReason, RecordedMovement
from inventory_service.domain.reservation import Reservation
from inventory_service.domain.stock import Stock, StockDetails, StockStatus
from inventory_service.domain.stock_book import StockBook
from inventory_service.domain.stock_level import StockLevel


@dataclass
class Shelves:
    """What inventory knows."""

    levels: dict[str, StockLevel] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    movements: list[Movement] = field(default_factory=list)

    def copy(self) -> Self:
        """The same, to be changed by itself."""
        return replace(
            self,
            levels=dict(self.levels),
            reservations=dict(self.reservations),
            movements=list(self.movements),
        )

    def put(self, sku: str, quantity: int) -> None:
        """A new stock."""
        stock_id = uuid5(UUID(int=0), sku)
        self.levels[sku] = StockLevel(stock_id, sku, StockStatus.IN_STOCK, quantity, 0, 1)
        self.movements.append(Movement(stock_id, sku, quantity, MovementReason.OPENING, "simulator"))


class ShelvesUnitOfWork:
    """One transaction upon the shelves."""

    def __init__(self, shelves: Shelves, now: datetime) -> None:
        self.now = now
        self.books = SimulatedBooks(shelves, now)
        self.answers = NoAnswers()
        self.reservations = SimulatedReservations(shelves, now)
        self.stocks = SimulatedStocks(shelves, now)


class SimulatedBooks:
    """StockBooks that always hold everything."""

    def __init__(self, shelves: Shelves, now: datetime) -> None:
        self._shelves = shelves
        self._now = now

    async def open(
        self, commands: Sequence[ReservationCommand | StockCommand], *, skip_locked: bool = False
    ) -> StockBook:
        return StockBook(self._now, self._shelves.levels.values(), self._shelves.reservations.values())

    async def save(self, book: StockBook) -> list[RecordedMovement]:
        for level in book.changed_levels:
            self._shelves.levels[level.sku] = replace(level, version=level.version + 1)
        for reservation in (*book.new_reservations, *book.changed_reservations):
            self._shelves.reservations[reservation.reservation_id] = reservation
        self._shelves.movements.extend(book.movements)
        first = len(self._shelves.movements) - len(book.movements) + 1
        return [
            RecordedMovement(
                number,
                entry.sku,
                entry.delta,
                entry.reason,
                entry.actor,
                entry.reference,
                entry.note,
                entry.reservation_id,
                self._now,
            )
            for number, entry in enumerate(book.movements, first)
        ]

    async def begin_sweep(self) -> bool:
        return True


class NoAnswers:
    """Answers of a service that nobody gives a request_id: delivery's commands are known by their reservation."""

    async def open(self, keys: Sequence[RequestKey]) -> None:
        assert not keys

    async def save(self) -> None:
        pass


class SimulatedReservations:
    """The reservations, for readers."""

    def __init__(self, shelves: Shelves, now: datetime) -> None:
        self._shelves = shelves
        self._now = now

    async def get(self, reservation_id: str) -> Reservation | None:
        return self._shelves.reservations.get(reservation_id)

    async def list_due(self, most: int, passed: Collection[str] = ()) -> list[str]:
        due = [
            (reservation.expire_time, reservation.reservation_id)
            for reservation in self._shelves.reservations.values()
            if reservation.is_due(self._now) and reservation.reservation_id not in passed
        ]
        return [reservation_id for _, reservation_id in sorted(due)[:most]]

    async def list_reservations(
        self, wanted: ReservationFilter, size: int, after: tuple[datetime, str] | None
    ) -> list[Reservation]:
        found = [
            reservation
            for reservation in self._shelves.reservations.values()
            if wanted.holder in (None, reservation.holder) and wanted.state in (None, reservation.state)
        ]
        return sorted(found, key=lambda row: (row.create_time, row.reservation_id), reverse=True)[:size]


class SimulatedStocks:
    """The stocks, for readers."""

    def __init__(self, shelves: Shelves, now: datetime) -> None:
        self._shelves = shelves
        self._now = now

    async def get(self, sku: str) -> Stock | None:
        level = self._shelves.levels.get(sku)
        if level is None:
            return None
        return Stock(
            level.stock_id,
            sku,
            level.status,
            level.quantity,
            level.reserved_quantity,
            StockDetails(),
            (),
            (),
            level.version,
            self._now,
            self._now,
        )
