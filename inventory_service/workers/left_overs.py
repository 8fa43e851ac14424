"""What batches go on without: wishes that need what somebody else has locked.

They queue for that lock beside the batches. Whoever is first in the queue waits in a transaction that has nothing else
locked, so that nobody waits for it in turn, and takes along all that queue behind the same lock.
"""

from collections.abc import Sequence

from inventory_service.application.locks import Lockable
from inventory_service.application.ports import UnitOfWork
from inventory_service.workers.batches import Batches, LeftOut
from inventory_service.workers.pending_wish import PendingWish
from servicekit.crash_points import crash_point
from servicekit.tasks import Tasks
from servicekit.transactions import Transactions

AT_ONCE = 3
"""Locks that are waited for at a time, each over a connection of its own."""
LOCK_SECONDS = 1.0
"""How long one is waited for before others have their turn."""
MOST_WISHES = 256


class LeftOvers:
    """Answers them, a few transactions at a time."""

    def __init__(self, transactions: Transactions[UnitOfWork], tasks: Tasks) -> None:
        self._batches = Batches(transactions)
        self._tasks = tasks
        self._queues: dict[Lockable, list[PendingWish]] = {}

    def __len__(self) -> int:
        """How many locks are waited for."""
        return len(self._queues)

    def take(self, pending: PendingWish) -> bool:
        """Whether the wish needs something that others wait for here already; then it queues behind them."""
        what = (
            next((what for what in pending.wish.named() if what in self._queues), None)
            if self._queues
            else None
        )
        if what is None:
            return False
        self._queues[what].append(pending)
        return True

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
            while queue := self._queues[what]:
                batch, self._queues[what] = queue[:MOST_WISHES], queue[MOST_WISHES:]
                self.wait(await self._batches.answer(batch, skip_locked=True, after=what))
                crash_point("batch.between_isolated")
        finally:
            del self._queues[what]

    async def _answer_alone(self, pending: PendingWish) -> None:
        self.wait(await self._batches.answer([pending], skip_locked=True))
