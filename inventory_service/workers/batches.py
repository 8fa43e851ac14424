"""A batch: wishes that are answered in one transaction; where the database fails that, in two halves, and so on.

Halves come one after the other, in the order of their wishes: side by side they would stand in each other's way. Of
256 wishes one that is guilty is found in eight steps, and nobody but it is refused.
"""

import time
from collections.abc import Iterable, Sequence

import structlog
from sqlalchemy.exc import DBAPIError

from inventory_service.application.answer_wishes import Answer, answer_wishes
from inventory_service.application.locks import Lockable, Locked
from inventory_service.application.ports import UnitOfWork
from inventory_service.workers.pending_wish import PendingWish
from servicekit import traces
from servicekit.crash_points import crash_point
from servicekit.errors import ConcurrentUpdate, DatabaseUnavailable
from servicekit.persistence.conflicts import lock_wait_ended, waited_in_vain
from servicekit.persistence.transactions import TRIES, Transactions
from servicekit.places import MOST_PATIENCE_SECONDS

MOST_WISHES = 256
"""In one batch."""
TRIES_OF_HALVES = 2

LeftOut = tuple[PendingWish, Lockable]
"""A wish that a batch went on without, and what others have locked of what it needs."""

log = structlog.get_logger("batches")


class Batches:
    """Answers wishes over one connection or a few."""

    def __init__(self, transactions: Transactions[UnitOfWork]) -> None:
        self._transactions = transactions

    async def answer(self, wishes: Sequence[PendingWish], *, skip_locked: bool = False) -> list[LeftOut]:
        """Tells every caller what became of its wish, but for those left out.

        Without `skip_locked` it waits, once and for as long as a session does, for stocks that others have locked.
        """
        try:
            return await self._in_one(wishes, skip_locked, TRIES)
        except Exception as error:
            if len(wishes) > 1:
                log.warning("batch is taken apart", wishes=len(wishes), error=type(error).__name__)
                if waited_in_vain(error):
                    refuse_impatient(wishes)
            return await self._in_halves(wishes, error)

    async def _in_halves(self, failed: Sequence[PendingWish], error: Exception) -> list[LeftOut]:
        if len(failed) == 1 and waited_in_vain(error):
            # Others are in its way, with nothing locked that it names: it is tried again as if it were that.
            return [(failed[0], failed[0].reservation)]
        if len(failed) == 1:
            failed[0].settle(error)
            return []
        left_out: list[LeftOut] = []
        middle = len(failed) // 2
        for half in (failed[:middle], failed[middle:]):
            try:
                left_out += await self._in_one(half, False, TRIES_OF_HALVES)
            except Exception as failure:
                left_out += await self._in_halves(half, failure)
        return left_out

    async def _in_one(self, wishes: Sequence[PendingWish], skip_locked: bool, tries: int) -> list[LeftOut]:
        waited_for = [pending for pending in wishes if not pending.answer.done()]
        if not waited_for:
            return []
        skipping = skip_locked

        async def work(uow: UnitOfWork) -> Sequence[Answer | Exception]:
            nonlocal skipping
            try:
                return await answer_wishes(
                    [pending.wish for pending in waited_for], uow, skip_locked=skipping
                )
            except DBAPIError as error:
                skipping = skipping or lock_wait_ended(error)
                raise

        answers: Sequence[Answer | Exception]
        repeatable = all(pending.knows_its_effect for pending in waited_for)
        try:
            with traces.span("batch", of=(pending.traceparent for pending in waited_for)):
                answers = await self._transactions.run(work, name="batch", repeatable=repeatable, tries=tries)
        except DatabaseUnavailable:
            # Of each its own: whoever raises it adds a traceback.
            answers = [DatabaseUnavailable() for _ in waited_for]
        return _tell(waited_for, answers)


def _tell(wishes: Sequence[PendingWish], answers: Sequence[Answer | Exception]) -> list[LeftOut]:
    left_out: list[LeftOut] = []
    for number, (pending, answer) in enumerate(zip(wishes, answers, strict=True)):
        if number == 1:
            crash_point("batch.some_replies")
        if isinstance(answer, Locked):
            left_out.append((pending, answer.what))
        else:
            pending.settle(answer)
    return left_out


def refuse_impatient(wishes: Iterable[PendingWish]) -> None:
    """Tells ConcurrentUpdate to those that have waited for long."""
    for pending in wishes:
        if time.monotonic() - pending.since > MOST_PATIENCE_SECONDS:
            pending.settle(ConcurrentUpdate())
