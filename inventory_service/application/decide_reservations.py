"""The four verbs of a reservation, and its expiry: load what many commands need, decide purely, save many."""

from collections.abc import Sequence

from inventory_service.application.ports import UnitOfWork
from inventory_service.domain.commands import ExpireReservation, ReservationCommand
from inventory_service.domain.errors import Refusal
from inventory_service.domain.reservation import Reservation
from inventory_service.domain.reservation_verbs import decide
from servicekit.crash_points import crash_point


async def decide_reservations(
    commands: Sequence[ReservationCommand], uow: UnitOfWork
) -> list[Reservation | Refusal]:
    """What became of each command, in order. A refused one leaves the others alone."""
    book = await uow.books.open(commands)
    crash_point("batch.after_lock")
    outcomes = [decide(book, command) for command in commands]
    crash_point("batch.after_decide")
    await uow.books.save(book)
    crash_point("batch.after_save")
    if any(reservation.tombstone for reservation in book.new_reservations):
        crash_point("tombstone.before_commit")
    return outcomes


async def decide_reservation(command: ReservationCommand, uow: UnitOfWork) -> Reservation:
    """What became of one command. Raises its refusal, which also takes back whatever else it did."""
    [outcome] = await decide_reservations([command], uow)
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome


async def expire_due_reservations(most: int, uow: UnitOfWork) -> int:
    """Gives the units of at most `most` holds back whose time has come; answers how many there were.

    Only one transaction sweeps at a time, whatever the number of replicas; the others find nothing to do.
    """
    if not await uow.books.begin_sweep():
        return 0
    due = await uow.reservations.list_due(most)
    await decide_reservations([ExpireReservation(reservation_id) for reservation_id in due], uow)
    return len(due)
