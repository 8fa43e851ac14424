"""What becomes of a hold: it is committed, released, extended or expires. Resolved once, it never changes again."""

from collections.abc import Mapping

from inventory_service.domain.commands import Actor, CommitReservation, ExtendReservation, ReleaseReservation
from inventory_service.domain.errors import (
    CallerNotAllowed,
    EtagMismatch,
    QuantityMismatch,
    ReservationAlreadyResolved,
    ReservationExpired,
    ReservationNotFound,
    ReservationTombstoned,
    Shortage,
)
from inventory_service.domain.movement import Movement, MovementReason
from inventory_service.domain.reservation import Reservation, ReservationLine, ReservationState, tombstone
from inventory_service.domain.stock_book import StockBook


def commit(book: StockBook, command: CommitReservation) -> Reservation:
    """The committed reservation; the same call again answers the same.

    Raises ReservationNotFound, ReservationTombstoned, CallerNotAllowed, ReservationExpired,
    ReservationAlreadyResolved, EtagMismatch, QuantityMismatch with every line that asks for more than is held,
    StockInconsistent.
    """
    reservation = _resolvable(book, command.actor, command.reservation_id)
    quantities = reservation.quantities if command.quantities is None else command.quantities
    if reservation.state is ReservationState.COMMITTED and quantities == reservation.committed_quantities:
        return reservation
    _require_open(book, reservation)
    _require_version(reservation, command.expected_version)
    _require_held(reservation, quantities)
    book.require_held_units(reservation)
    for line in reservation.lines:
        _commit_line(book, reservation, line, quantities.get(line.sku, 0), command.actor)
    return book.put_reservation(reservation.committed(quantities, book.now))


def release(book: StockBook, command: ReleaseReservation) -> Reservation:
    """The released reservation, one that was over already, or the tombstone of an id that nobody used yet.

    Raises CallerNotAllowed, ReservationAlreadyResolved for a committed one, EtagMismatch.
    """
    reservation = book.reservation(command.reservation_id)
    if reservation is None:
        if not command.actor.may_take(command.reservation_id):
            raise CallerNotAllowed(command.actor.name, command.reservation_id)
        return book.put_reservation(tombstone(command.reservation_id, command.actor.name, book.now))
    if reservation.tombstone:
        return reservation
    reservation = book.expire_if_due(_resolvable(book, command.actor, command.reservation_id))
    if reservation.state is ReservationState.COMMITTED:
        raise ReservationAlreadyResolved(reservation.reservation_id, reservation.state.name)
    if reservation.state is not ReservationState.HELD:
        return reservation
    _require_version(reservation, command.expected_version)
    return book.give_back(reservation.released(book.now))


def extend(book: StockBook, command: ExtendReservation) -> Reservation:
    """The hold with its new time. Raises what commit raises, but QuantityMismatch."""
    reservation = _resolvable(book, command.actor, command.reservation_id)
    _require_open(book, reservation)
    _require_version(reservation, command.expected_version)
    return book.put_reservation(reservation.extended(command.ttl, book.now))


def expire(book: StockBook, reservation_id: str) -> Reservation:
    """The reservation, expired if its time has come. Raises ReservationNotFound."""
    return book.expire_if_due(_known(book, reservation_id))


def _commit_line(
    book: StockBook, reservation: Reservation, line: ReservationLine, units: int, actor: Actor
) -> None:
    book.put_level(book.level(line.sku).sell(units).give_back(line.quantity - units))
    if units:
        book.movements.append(
            Movement(
                line.stock_id,
                line.sku,
                -units,
                MovementReason.SOLD,
                actor.name,
                reference=reservation.holder,
                reservation_id=reservation.reservation_id,
            )
        )


def _known(book: StockBook, reservation_id: str) -> Reservation:
    reservation = book.reservation(reservation_id)
    if reservation is None:
        raise ReservationNotFound(reservation_id)
    return reservation


def _resolvable(book: StockBook, actor: Actor, reservation_id: str) -> Reservation:
    reservation = _known(book, reservation_id)
    if reservation.tombstone:
        raise ReservationTombstoned(reservation_id)
    if not (actor.operator or actor.name == reservation.created_by):
        raise CallerNotAllowed(actor.name, reservation_id)
    return reservation


def _require_open(book: StockBook, reservation: Reservation) -> None:
    reservation = book.expire_if_due(reservation)
    if reservation.state is ReservationState.EXPIRED:
        assert reservation.expire_time is not None
        raise ReservationExpired(reservation.reservation_id, reservation.expire_time)
    if reservation.state is not ReservationState.HELD:
        raise ReservationAlreadyResolved(reservation.reservation_id, reservation.state.name)


def _require_version(reservation: Reservation, version: int | None) -> None:
    if version not in (None, reservation.version):
        raise EtagMismatch(reservation_id=reservation.reservation_id)


def _require_held(reservation: Reservation, quantities: Mapping[str, int]) -> None:
    held = reservation.quantities
    wrong = [
        Shortage(sku, quantity, held.get(sku, 0))
        for sku, quantity in quantities.items()
        if quantity > held.get(sku, 0)
    ]
    if wrong:
        raise QuantityMismatch(reservation.reservation_id, tuple(wrong))
