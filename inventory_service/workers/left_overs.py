"""What batches go on without: wishes for stocks that others keep locked, and what a batch failed with.

Both are answered beside the batches, in transactions that never wait for a stock: whoever waits with locks in hand
makes others wait for stocks that are free.
"""

import asyncio
import time
from collections.abc import Sequence

from inventory_service.application.answer_wishes import Answer, StockLocked, answer_wishes
from inventory_service.application.ports import UnitOfWork
from inventory_service.workers.pending_wish import PendingWish, refuse_all
from servicekit import traces
from servicekit.crash_points import crash_point
from servicekit.errors import ConcurrentUpdate, DatabaseUnavailable
from servicekit.tasks import Tasks
from servicekit.transactions import Transactions

PAUSE_SECONDS = 0.1
MOST_PATIENCE_SECONDS = 4.0
"""How long a wish is tried while others have its stock in hand; then its caller may decide to call again."""
MOST_LOCKED = 256
AT_ONCE = 3
"""Transactions at a time: they come from the pool that all other calls share."""


class LeftOvers:
    """Answers them, a few transactions at a time."""

    def __init__(self, transactions: Transactions[UnitOfWork], tasks: Tasks) -> None:
        self._transactions = transactions
        self._tasks = tasks
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._locked: list[PendingWish] = []
        self._trying = False

    def await_unlocked(self, pending: PendingWish) -> None:
        """Tries it again and again; after some seconds, and where too many wait so, it ends with ConcurrentUpdate."""
        impatient = time.monotonic() - pending.since > MOST_PATIENCE_SECONDS
        if impatient or len(self._locked) >= MOST_LOCKED:
            pending.settle(ConcurrentUpdate())
            return
        self._locked.append(pending)
        if not self._trying:
            self._trying = True
            self._tasks.start(self._try_locked())

    def take_apart(self, failed: Sequence[PendingWish], error: Exception) -> None:
        """Answers the wishes of a transaction that failed in parts, down to the one that is guilty.

        Parts keep no order among each other.
        """
        size = 1 if isinstance(error, ConcurrentUpdate) else max(1, len(failed) // 2)
        for start in range(0, len(failed), size):
            self.answer(failed[start : start + size])

    def answer(self, wishes: Sequence[PendingWish]) -> None:
        """Begins to answer them in one transaction."""
        self._tasks.start(self._answer(wishes))

    async def _try_locked(self) -> None:
        try:
            while self._locked:
                await asyncio.sleep(PAUSE_SECONDS)
                wishes, self._locked = self._locked, []
                await self._answer(wishes)
        finally:
            self._trying = False

    async def _answer(self, wishes: Sequence[PendingWish]) -> None:
        waited_for = [pending for pending in wishes if not pending.answer.done()]
        if not waited_for:
            return

        async def work(uow: UnitOfWork) -> list[Answer | Exception]:
            return await answer_wishes([pending.wish for pending in waited_for], uow, skip_locked=True)

        repeatable = all(pending.knows_its_effect for pending in waited_for)
        try:
            async with self._turns:
                with traces.span("batch", of=(pending.traceparent for pending in waited_for)):
                    answers = await self._transactions.run(work, name="batch", repeatable=repeatable)
        except DatabaseUnavailable:
            refuse_all(waited_for, DatabaseUnavailable)
        except Exception as error:
            if len(waited_for) > 1:
                self.take_apart(waited_for, error)
            else:
                waited_for[0].settle(error)
        else:
            for pending, answer in zip(waited_for, answers, strict=True):
                if isinstance(answer, StockLocked):
                    self.await_unlocked(pending)
                else:
                    pending.settle(answer)
        crash_point("batch.between_isolated")
