"""Decides the verbs of reservations, one after the other, over one book."""

from inventory_service.domain import resolving
from inventory_service.domain.commands import (
    CommitReservation,
    ExpireReservation,
    ExtendReservation,
    ReleaseReservation,
    ReservationCommand,
    ReserveStock,
)
from inventory_service.domain.errors import Refusal
from inventory_service.domain.reservation import Reservation
from inventory_service.domain.reserving import reserve
from inventory_service.domain.stock_book import StockBook


def decide(book: StockBook, command: ReservationCommand) -> Reservation | Refusal:
    """What becomes of a reservation by this command, or why nothing does.

    A refusal is a value, so that one command of a batch never fails another, and leaves the book as it was.
    """
    book.begin()
    try:
        match command:
            case ReserveStock():
                return reserve(book, command)
            case CommitReservation():
                return resolving.commit(book, command)
            case ReleaseReservation():
                return resolving.release(book, command)
            case ExtendReservation():
                return resolving.extend(book, command)
            case ExpireReservation():
                return resolving.expire(book, command.reservation_id)
    except Refusal as refusal:
        book.take_back()
        return refusal
