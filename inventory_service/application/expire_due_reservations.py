"""Expires holds whose time has come, many at a time."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from inventory_service.application.answer_wishes import Wish, answer_wishes
from inventory_service.application.locks import Locked
from inventory_service.application.ports import UnitOfWork
from inventory_service.domain.commands import ExpireReservation


@dataclass(frozen=True)
class Swept:
    """How many holds were due, and why some of them, by id, keep their units."""

    due: int
    kept: Mapping[str, Exception]


async def expire_due_reservations(most: int, uow: UnitOfWork, passed: Collection[str] = ()) -> Swept:
    """Gives the units of at most `most` holds back whose time has come, without those `passed`.

    Only one transaction sweeps at a time, whatever the number of replicas; the others find nothing to do.
    """
    if not await uow.books.begin_sweep():
        return Swept(0, {})
    due = await uow.reservations.list_due(most, passed)
    answers = await answer_wishes([Wish(ExpireReservation(reservation_id)) for reservation_id in due], uow)
    kept = {
        key: answer
        for key, answer in zip(due, answers, strict=True)
        # One that somebody else has in hand is looked at again by the next sweep.
        if isinstance(answer, Exception) and not isinstance(answer, Locked)
    }
    return Swept(len(due), kept)
