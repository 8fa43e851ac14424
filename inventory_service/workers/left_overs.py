"""What batches go on without: wishes that need what somebody else has locked.

They queue for that lock beside the batches. A transaction that locks nothing else waits until it is free, so that
nobody waits for that one in turn; then a batch takes up all that queue there.
"""

from collections.abc import Sequence
from itertools import takewhile

import structlog

from inventory_service.application.locks import Lockable, Locked
from inventory_service.application.ports import UnitOfWork
from inventory_service.workers.batches import MOST_WISHES, Batches, LeftOut, refuse_impatient
from inventory_service.workers.pending_wish import PendingWish
from servicekit.crash_points import crash_point
from servicekit.persistence.transactions import Transactions
from servicekit.tasks import Tasks

AT_ONCE = 3
"""Locks that are waited for at a time, each over a connection of its own."""
LOCK_SECONDS = 1.0
"""How long one is waited for before others have their turn."""

log = structlog.get_logger("left_overs")


class LeftOvers:
    """Answers them, a few transactions at a time."""

    def __init__(self, transactions: Transactions[UnitOfWork], tasks: Tasks) -> None:
        self._transactions = transactions
        self._batches = Batches(transactions)
        self._tasks = tasks
        self._queues: dict[Lockable, list[PendingWish]] = {}

    def __len__(self) -> int:
        """How many locks are waited for."""
        return len(self._queues)

    def take(self, pending: PendingWish) -> bool:
        """Whether the wish needs something that others wait for here already; then it queues behind them."""
        if not self._queues:
            return False
        for what in pending.wish.named():
            if what in self._queues:
                self._queues[what].append(pending)
                return True
        return False

    def wait(self, left_out: Sequence[LeftOut]) -> None:
        """Has wishes wait for what others have locked; after some seconds they end with ConcurrentUpdate."""
        for pending, what in left_out:
            if what not in self._queues:
                self._queues[what] = []
                self._tasks.start(self._wait(what))
            self._queues[what].append(pending)

    def answer_alone(self, pending: PendingWish) -> None:
        """Begins to answer a wish in a transaction of its own."""
        self._tasks.start(self._answer_alone(pending))

    async def _wait(self, what: Lockable) -> None:
        try:
            while self._queues[what]:
                free = await self._is_free(what)
                if not free:
                    refuse_impatient(self._queues[what])
                queue = [pending for pending in self._queues[what] if not pending.answer.done()]
                batch = _next_batch(queue) if free else []
                self._queues[what] = queue[len(batch) :]
                left_out = await self._batches.answer(batch)
                refuse_impatient(pending for pending, _ in left_out)
                self.wait(left_out)
                crash_point("batch.between_isolated")
        finally:
            del self._queues[what]

    async def _is_free(self, what: Lockable) -> bool:
        """Whether others let go of it in time; so it is said where that cannot be told: the batch will see."""
        try:
            await self._transactions.run(lambda uow: uow.locks.wait_for(what))
        except Locked:
            return False
        except Exception as error:
            # Whatever it is: who queues here must hear of it.
            log.info("lock cannot be waited for", kind=what.kind.value, error=type(error).__name__)
        return True

    async def _answer_alone(self, pending: PendingWish) -> None:
        self.wait(await self._batches.answer([pending], skip_locked=True))


def _next_batch(queue: Sequence[PendingWish]) -> Sequence[PendingWish]:
    """The first of them that can be run again together; one that cannot has a transaction of its own (ADR 0026)."""
    together = list(takewhile(lambda pending: pending.knows_its_effect, queue))
    return together[:MOST_WISHES] or queue[:1]
