"""How a reservation comes to be: all its lines are held, or none."""

from collections.abc import Mapping

from inventory_service.domain.commands import ReserveStock
from inventory_service.domain.errors import (
    CallerNotAllowed,
    InsufficientStock,
    ReservationExists,
    ReservationTombstoned,
    Shortage,
    StockNotSellable,
    UnsellableLine,
)
from inventory_service.domain.reservation import Reservation, ReservationLine, ReservationState
from inventory_service.domain.stock_book import StockBook


def reserve(book: StockBook, command: ReserveStock) -> Reservation:
    """The hold, or the reservation that the same call made before.

    Raises StockNotFound, StockNotSellable, InsufficientStock, each with every line concerned; ReservationExists,
    ReservationTombstoned, CallerNotAllowed.
    """
    known = book.reservation(command.reservation_id)
    if known is not None:
        return _repeated(book, known, command)
    if not command.actor.may_take(command.reservation_id):
        raise CallerNotAllowed(command.actor.name, command.reservation_id)
    _require_available(book, command.quantities)
    held = [
        book.put_level(book.level(sku).hold(quantity)) for sku, quantity in sorted(command.quantities.items())
    ]
    return book.put_reservation(
        Reservation(
            reservation_id=command.reservation_id,
            holder=command.holder,
            state=ReservationState.HELD,
            lines=tuple(
                ReservationLine(level.stock_id, level.sku, command.quantities[level.sku]) for level in held
            ),
            created_by=command.actor.name,
            create_time=book.now,
            ttl=command.ttl,
            expire_time=None if command.ttl is None else book.now + command.ttl,
        )
    )


def _repeated(book: StockBook, known: Reservation, command: ReserveStock) -> Reservation:
    if known.tombstone:
        raise ReservationTombstoned(known.reservation_id)
    same = (known.holder, known.quantities, known.ttl) == (command.holder, command.quantities, command.ttl)
    if not same:
        raise ReservationExists(known.reservation_id)
    return known.at(book.now)


def _require_available(book: StockBook, quantities: Mapping[str, int]) -> None:
    unsellable = [level for level in book.levels(quantities) if not level.sellable]
    if unsellable:
        raise StockNotSellable(tuple(UnsellableLine(level.sku, level.status.name) for level in unsellable))
    if short := _shortages(book, quantities):
        book.expire_due_holds(shortage.sku for shortage in short)
        if short := _shortages(book, quantities):
            raise InsufficientStock(short)


def _shortages(book: StockBook, quantities: Mapping[str, int]) -> tuple[Shortage, ...]:
    return tuple(
        Shortage(level.sku, quantities[level.sku], level.available_quantity)
        for level in book.levels(quantities)
        if quantities[level.sku] > level.available_quantity
    )
