"""Expires holds whose time has come, many at a time."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from inventory_service.application.answer_wishes import Wish, answer_wishes
from inventory_service.application.locks import Locked
from inventory_service.application.ports import UnitOfWork
from inventory_service.domain.commands import ExpireReservation
from inventory_service.domain.errors import Refusal


@dataclass(frozen=True)
class Swept:
    """How many holds were due, why some of them, by id, keep their units, and which somebody else has in hand."""

    due: int
    kept: Mapping[str, Exception]
    locked: Sequence[str] = ()


async def expire_due_reservations(most: int, uow: UnitOfWork, passed: Collection[str] = ()) -> Swept:
    """Gives the units of at most `most` holds back whose time has come, without those `passed`.

    Only one transaction sweeps at a time, whatever the number of replicas; the others find nothing to do. It waits for
    nobody: it has many stocks in hand.
    """
    if not await uow.books.begin_sweep():
        return Swept(0, {})
    due = await uow.reservations.list_due(most, passed)
    wishes = [Wish(ExpireReservation(reservation_id)) for reservation_id in due]
    answers = dict(zip(due, await answer_wishes(wishes, uow, skip_locked=True), strict=True))
    locked = [key for key, answer in answers.items() if isinstance(answer, Locked)]
    kept = {key: answer for key, answer in answers.items() if isinstance(answer, Refusal)}
    return Swept(len(due), kept, locked)
