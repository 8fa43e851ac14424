"""A batch: wishes that are answered in one transaction; where the database fails that, in two halves, and so on.

Halves come one after the other, in the order of their wishes: side by side they would stand in each other's way. Of
256 wishes one that is guilty is found in eight steps, and nobody but it is refused.
"""

import time
from collections.abc import Sequence
from itertools import count

import structlog

from inventory_service.application.answer_wishes import Answer, answer_wishes
from inventory_service.application.locks import Lockable, Locked
from inventory_service.application.ports import UnitOfWork
from inventory_service.workers.pending_wish import PendingWish
from servicekit import traces
from servicekit.crash_points import crash_point
from servicekit.errors import ConcurrentUpdate, DatabaseUnavailable
from servicekit.transactions import TRIES, Transactions

TRIES_OF_HALVES = 2
MOST_PATIENCE_SECONDS = 4.0
"""How long a wish waits for what is nobody's fault here; then its caller may decide to call again."""

LeftOut = tuple[PendingWish, Lockable]
"""A wish that a batch went on without, and what others have locked of what it needs."""

log = structlog.get_logger("batches")


class Batches:
    """Answers wishes over one connection or a few."""

    def __init__(self, transactions: Transactions[UnitOfWork]) -> None:
        self._transactions = transactions

    async def answer(
        self, wishes: Sequence[PendingWish], *, skip_locked: bool, after: Lockable | None = None
    ) -> list[LeftOut]:
        """Tells every caller what became of its wish, but for those left out.

        It waits for `after` first, with nothing else locked. Without `skip_locked` it waits for a moment, once, for
        stocks that others have locked. A wish that is left out `after` some seconds is told ConcurrentUpdate instead.
        """
        try:
            return await self._in_one(wishes, skip_locked, after, TRIES)
        except Exception as error:
            if len(wishes) > 1:
                log.warning("batch is taken apart", wishes=len(wishes), error=type(error).__name__)
                if isinstance(error, ConcurrentUpdate):
                    for pending in filter(_is_impatient, wishes):
                        pending.settle(ConcurrentUpdate())
            return await self._in_halves(wishes, after, error)

    async def _in_halves(
        self, failed: Sequence[PendingWish], after: Lockable | None, error: Exception
    ) -> list[LeftOut]:
        if len(failed) == 1:
            return _tell_alone(failed[0], error)
        left_out: list[LeftOut] = []
        middle = len(failed) // 2
        for half in (failed[:middle], failed[middle:]):
            try:
                left_out += await self._in_one(half, True, after, TRIES_OF_HALVES)
            except Exception as failure:
                left_out += await self._in_halves(half, after, failure)
        return left_out

    async def _in_one(
        self, wishes: Sequence[PendingWish], skip_locked: bool, after: Lockable | None, tries: int
    ) -> list[LeftOut]:
        waited_for = _waited_for(wishes)
        if not waited_for:
            return []
        runs = count()

        async def work(uow: UnitOfWork) -> Sequence[Answer | Exception]:
            if after is not None:
                await uow.locks.wait_for(after)
                waited_for[:] = _waited_for(waited_for)
            first = next(runs) == 0
            return await answer_wishes(
                [pending.wish for pending in waited_for], uow, skip_locked=skip_locked or not first
            )

        answers: Sequence[Answer | Exception]
        repeatable = all(pending.knows_its_effect for pending in waited_for)
        try:
            with traces.span("batch", of=(pending.traceparent for pending in waited_for)):
                answers = await self._transactions.run(work, name="batch", repeatable=repeatable, tries=tries)
        except DatabaseUnavailable:
            # Of each its own: whoever raises it adds a traceback.
            answers = [DatabaseUnavailable() for _ in waited_for]
        except Locked as locked:
            answers = [locked] * len(waited_for)
        return _tell(waited_for, answers, impatient=after is not None)


def _waited_for(wishes: Sequence[PendingWish]) -> list[PendingWish]:
    """Without those whose callers have left."""
    return [pending for pending in wishes if not pending.answer.done()]


def _tell(
    wishes: Sequence[PendingWish], answers: Sequence[Answer | Exception], *, impatient: bool
) -> list[LeftOut]:
    left_out: list[LeftOut] = []
    for number, (pending, answer) in enumerate(zip(wishes, answers, strict=True)):
        if number == 1:
            crash_point("batch.some_replies")
        if not isinstance(answer, Locked):
            pending.settle(answer)
        elif impatient and _is_impatient(pending):
            pending.settle(ConcurrentUpdate())
        else:
            left_out.append((pending, answer.what))
    return left_out


def _tell_alone(pending: PendingWish, error: Exception) -> list[LeftOut]:
    """What others are in the way of, with nothing of its own locked, is tried again until its patience ends."""
    if isinstance(error, ConcurrentUpdate) and not _is_impatient(pending):
        return [(pending, pending.reservation)]
    pending.settle(error)
    return []


def _is_impatient(pending: PendingWish) -> bool:
    return time.monotonic() - pending.since > MOST_PATIENCE_SECONDS
