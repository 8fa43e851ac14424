"""Group commit: a transaction takes up all that arrived while the one before it ran.

Nobody waits for a timer: a lone wish begins at once, and batches grow with the load. What somebody else keeps locked
is left out of a batch, and one that fails is taken apart, so that only the wish that made it fail is refused.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count

import structlog

from inventory_service.application.answer_wishes import Answer, StockLocked, Wish, answer_wishes
from inventory_service.application.ports import UnitOfWork
from inventory_service.workers.left_overs import LeftOvers
from inventory_service.workers.pending_wish import PendingWish, refuse_all
from servicekit import traces
from servicekit.crash_points import crash_point
from servicekit.errors import DatabaseUnavailable, Overloaded
from servicekit.tasks import Tasks
from servicekit.transactions import Transactions

MOST_WISHES = 256
MOST_LINES = 2_000
MOST_CALLERS = 2_048
QUIET_TURNS = 16
"""A call takes several turns of the loop from its first byte to its wish; an idle turn takes microseconds."""
MOST_SECONDS = 8.0
"""How long a batch may take: less than any call, so that its callers hear of a database that has fallen silent."""
MOST_LEFT_OUT = 3
"""How many batches go on without a wish, because others have its stock in hand, before it is tried beside them."""

log = structlog.get_logger("group_commit")


class GroupCommit:
    """Answers wishes, batch after batch, each batch in one transaction."""

    def __init__(
        self,
        transactions: Transactions[UnitOfWork],
        left_overs: LeftOvers,
        tasks: Tasks,
        *,
        most_callers: int = MOST_CALLERS,
        batch_ended: Callable[[Sequence[float], float], None] = lambda waits, seconds: None,
    ) -> None:
        """`transactions` runs the batches, one at a time, each for MOST_SECONDS at most.

        `batch_ended` is told of each batch how long its wishes had waited, and how many seconds it took.
        """
        self._transactions = transactions
        self._left_overs = left_overs
        self._tasks = tasks
        self._most_callers = most_callers
        self._batch_ended = batch_ended
        self._callers = 0
        self._waiting: deque[PendingWish] = deque()
        self._working = False

    @property
    def waiting(self) -> int:
        """How many wishes wait for the next batch."""
        return len(self._waiting)

    async def submit(self, wish: Wish) -> Answer:
        """What became of the wish.

        A caller that leaves takes its wish along if no batch has begun with it; else the batch goes on and the
        outcome is unknown to the caller. Raises the wish's own refusal; Overloaded at once where too many callers
        wait; ConcurrentUpdate where others do not let go of a stock; what Transactions.run raises.
        """
        if self._callers >= self._most_callers:
            raise Overloaded
        pending = PendingWish(wish)
        self._callers += 1
        try:
            self._begin(pending)
            return await pending.answer
        except asyncio.CancelledError:
            if pending in self._waiting:
                self._waiting.remove(pending)
            raise
        finally:
            self._callers -= 1

    def _begin(self, pending: PendingWish) -> None:
        if not pending.knows_its_effect:
            self._left_overs.answer([pending])
            return
        self._waiting.append(pending)
        if not self._working:
            self._working = True
            self._tasks.start(self._work())

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._let_in()
                if batch := self._next_batch():
                    began = time.monotonic()
                    waits = [began - pending.since for pending in batch]
                    with traces.span("batch", of=(pending.traceparent for pending in batch)):
                        await self._answer(batch)
                    self._batch_ended(waits, time.monotonic() - began)
        finally:
            self._working = False

    async def _let_in(self) -> None:
        """Lets the wishes in that are on their way through this process, until a few turns of the loop bring none.

        No time passes but that of its own work. A batch costs about the same whatever its size, so a server that is
        busy should begin few.
        """
        quiet = 0
        while quiet < QUIET_TURNS and len(self._waiting) < MOST_WISHES:
            before = len(self._waiting)
            await asyncio.sleep(0)
            quiet = 0 if len(self._waiting) > before else quiet + 1

    def _next_batch(self) -> list[PendingWish]:
        batch: list[PendingWish] = []
        lines = 0
        while self._waiting and len(batch) < MOST_WISHES and lines < MOST_LINES:
            batch.append(self._waiting.popleft())
            lines += batch[-1].lines
        return batch

    async def _answer(self, batch: Sequence[PendingWish]) -> None:
        tries = count()

        async def work(uow: UnitOfWork) -> list[Answer | Exception]:
            # At first it waits a moment for what others have in hand; then it goes on without.
            return await answer_wishes([each.wish for each in batch], uow, skip_locked=next(tries) > 0)

        try:
            answers = await self._transactions.run(work, name="batch", repeatable=True)
        except DatabaseUnavailable:
            refuse_all(batch, DatabaseUnavailable)
        except Exception as error:
            log.warning("batch is taken apart", wishes=len(batch), error=type(error).__name__)
            self._left_overs.take_apart(batch, error)
        else:
            self._deliver(batch, answers)

    def _deliver(self, batch: Sequence[PendingWish], answers: Sequence[Answer | Exception]) -> None:
        left_out: list[PendingWish] = []
        for number, (pending, answer) in enumerate(zip(batch, answers, strict=True)):
            if number == 1:
                crash_point("batch.some_replies")
            if isinstance(answer, StockLocked):
                left_out.append(pending)
            else:
                pending.settle(answer)
        for pending in reversed(left_out):
            pending.left_out += 1
            if pending.left_out == MOST_LEFT_OUT:
                self._left_overs.await_unlocked(pending)
            elif not pending.answer.done():
                self._waiting.appendleft(pending)
