"""The verbs of reservations, many at a time: load what all of them need, decide purely, save once."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from inventory_service.application.ports import UnitOfWork
from inventory_service.application.reservation_ports import Answers, RequestKey
from inventory_service.domain.commands import ReservationCommand, ReserveStock
from inventory_service.domain.errors import Refusal
from inventory_service.domain.reservation import Reservation
from inventory_service.domain.reservation_verbs import decide
from inventory_service.domain.stock_book import StockBook
from servicekit.crash_points import crash_point


@dataclass(frozen=True)
class Recorded:
    """A request whose answer goes on record; `render` makes of the reservation what the record keeps."""

    key: RequestKey
    render: Callable[[Reservation], bytes]


@dataclass(frozen=True)
class Wish:
    """A command that somebody waits for, and the request that it came as, if that can be repeated by its id."""

    command: ReservationCommand
    request: Recorded | None = None


@dataclass(frozen=True)
class Replay:
    """The answer that an equal request had before."""

    response: bytes


Answer = Reservation | Replay


class StockLocked(Exception):
    """Somebody else has a stock of this wish in hand; the wish was left out."""


async def answer_wishes(
    wishes: Sequence[Wish], uow: UnitOfWork, *, skip_locked: bool = False
) -> list[Answer | Exception]:
    """What became of each wish, in the order given. A refused one leaves the others alone.

    With `skip_locked` wishes whose stocks others have in hand are answered StockLocked, instead of waiting.
    """
    book = await uow.books.open([wish.command for wish in wishes], skip_locked=skip_locked)
    # Only now: whoever had one of these requests in hand had its stocks locked too, and has committed.
    await uow.answers.open([wish.request.key for wish in wishes if wish.request])
    crash_point("batch.after_lock")
    answers = [_answer(wish, book, uow.answers) for wish in wishes]
    crash_point("batch.after_decide")
    await uow.books.save(book)
    await uow.answers.save()
    crash_point("batch.after_save")
    if any(reservation.tombstone for reservation in book.new_reservations):
        crash_point("tombstone.before_commit")
    return answers


def _answer(wish: Wish, book: StockBook, earlier: Answers) -> Answer | Exception:
    if book.locked_elsewhere:
        skus = _skus(wish.command, book)
        if not book.locked_elsewhere.isdisjoint(skus) or book.has_locked_due_holds(skus):
            return StockLocked()
    if wish.request is None:
        return decide(book, wish.command)
    known = earlier.find(wish.request.key)
    if known is not None:
        return Replay(known) if isinstance(known, bytes) else known
    decided = decide(book, wish.command)
    if not isinstance(decided, Refusal):
        earlier.put(wish.request.key, wish.request.render(decided))
    return decided


def _skus(command: ReservationCommand, book: StockBook) -> Collection[str]:
    if isinstance(command, ReserveStock):
        return command.quantities
    reservation = book.reservation(command.reservation_id)
    return reservation.quantities if reservation else ()
