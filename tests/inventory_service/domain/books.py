"""Builders for pure tests of the book."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

from inventory_service.domain.commands import Actor, ReserveStock
from inventory_service.domain.reservation import Reservation, ReservationLine, ReservationState
from inventory_service.domain.stock import StockStatus
from inventory_service.domain.stock_book import StockBook
from inventory_service.domain.stock_level import StockLevel

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SHOP = Actor("merchant:7")
STRANGER = Actor("merchant:8")
OPERATOR = Actor("dispatcher:1", operator=True)


def stock_id(sku: str) -> UUID:
    """The id of the stock that bears a sku."""
    return uuid5(NAMESPACE_URL, sku)


def a_level(
    sku: str, quantity: int = 10, reserved: int = 0, status: StockStatus = StockStatus.IN_STOCK
) -> StockLevel:
    """A level."""
    return StockLevel(stock_id(sku), sku, status, quantity, reserved, version=1)


def a_reservation(
    reservation_id: str,
    quantities: Mapping[str, int],
    state: ReservationState = ReservationState.HELD,
    expires_in: float | None = None,
) -> Reservation:
    """A reservation that SHOP made an hour ago; `expires_in` seconds from NOW, the past included."""
    return Reservation(
        reservation_id=reservation_id,
        holder="order:1",
        state=state,
        lines=tuple(ReservationLine(stock_id(sku), sku, units) for sku, units in sorted(quantities.items())),
        created_by=SHOP.name,
        create_time=NOW - timedelta(hours=1),
        ttl=None if expires_in is None else timedelta(hours=1, seconds=expires_in),
        expire_time=None if expires_in is None else NOW + timedelta(seconds=expires_in),
        resolve_time=None if state is ReservationState.HELD else NOW - timedelta(minutes=30),
    )


def a_book(levels: Iterable[StockLevel], *reservations: Reservation) -> StockBook:
    """A book whose time is NOW."""
    return StockBook(NOW, levels, reservations)


def reserve(reservation_id: str, quantities: Mapping[str, int], ttl: timedelta | None = None) -> ReserveStock:
    """SHOP's wish for a hold."""
    return ReserveStock(reservation_id, "order:1", quantities, ttl, SHOP)


def numbers(book: StockBook) -> dict[str, tuple[int, int]]:
    """(quantity, reserved) of every level that changed, by sku."""
    return {level.sku: (level.quantity, level.reserved_quantity) for level in book.changed_levels}


def untouched(book: StockBook) -> bool:
    """Whether there is nothing to save."""
    return not (book.changed_levels or book.new_reservations or book.changed_reservations or book.movements)
