"""The verbs of reservations, many at a time: load what all of them need, decide purely, save once."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from inventory_service.application import locks
from inventory_service.application.locks import Kind, Lockable, Locked
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

    def named(self) -> Iterator[Lockable]:
        """What must be locked for it, as far as it can be told before anything is read."""
        yield Lockable(Kind.RESERVATION, self.command.reservation_id)
        if isinstance(self.command, ReserveStock):
            for sku in self.command.quantities:
                yield Lockable(Kind.STOCK, sku)
        if self.request:
            yield locks.request(self.request.key)


@dataclass(frozen=True)
class Replay:
    """The answer that an equal request had before."""

    response: bytes


Answer = Reservation | Replay


async def answer_wishes(
    wishes: Sequence[Wish], uow: UnitOfWork, *, skip_locked: bool = False
) -> list[Answer | Exception]:
    """What became of each wish, in the order given. A refused one leaves the others alone.

    A wish of whose reservation or request somebody else has the name is answered Locked. With `skip_locked` so is one
    whose stocks, or whose reservation's row, others have locked; else they are waited for.
    """
    book = await uow.books.open([wish.command for wish in wishes], skip_locked=skip_locked)
    in_the_way = [_in_the_way(wish.command, book) for wish in wishes]
    keys = [
        wish.request.key for wish, what in zip(wishes, in_the_way, strict=True) if wish.request and not what
    ]
    # Only now: whoever had one of these requests in hand had its stocks locked too, and has committed.
    await uow.answers.open(keys)
    crash_point("batch.after_lock")
    answers = [
        Locked(what) if what else _answer(wish, book, uow.answers)
        for wish, what in zip(wishes, in_the_way, strict=True)
    ]
    crash_point("batch.after_decide")
    await uow.books.save(book)
    await uow.answers.save()
    crash_point("batch.after_save")
    if any(reservation.tombstone for reservation in book.new_reservations):
        crash_point("tombstone.before_commit")
    return answers


def _in_the_way(command: ReservationCommand, book: StockBook) -> Lockable | None:
    """What others have locked of what the command needs: its stocks, its reservation, holds that it may expire."""
    if not (book.locked_skus or book.locked_reservations):
        return None
    reservation = book.reservation(command.reservation_id)
    skus: Collection[str] = reservation.quantities if reservation else ()
    if isinstance(command, ReserveStock):
        skus = command.quantities
    hold = book.locked_due_hold(skus)
    return _locked(command.reservation_id, skus, book) or (
        _locked(hold.reservation_id, hold.quantities, book) if hold else None
    )


def _locked(reservation_id: str, skus: Collection[str], book: StockBook) -> Lockable | None:
    for sku in skus:
        if sku in book.locked_skus:
            return Lockable(Kind.STOCK, sku)
    if reservation_id in book.locked_reservations:
        return Lockable(Kind.RESERVATION, reservation_id)
    return None


def _answer(wish: Wish, book: StockBook, earlier: Answers) -> Answer | Exception:
    if wish.request is None:
        return decide(book, wish.command)
    known = earlier.find(wish.request.key)
    if known is not None:
        return Replay(known) if isinstance(known, bytes) else known
    decided = decide(book, wish.command)
    if not isinstance(decided, Refusal):
        earlier.put(wish.request.key, wish.request.render(decided))
    return decided
