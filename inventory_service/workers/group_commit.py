"""Group commit: a transaction takes up all that arrived while the one before it ran.

Nobody waits for a timer: a lone wish begins at once, and batches grow with the load. What somebody else keeps locked
is left out of a batch and waits for that beside the batches.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from inventory_service.application.answer_wishes import Answer, Wish
from inventory_service.application.ports import UnitOfWork
from inventory_service.workers.batches import MOST_WISHES, Batches
from inventory_service.workers.left_overs import LeftOvers
from inventory_service.workers.pending_wish import PendingWish
from servicekit.errors import Overloaded
from servicekit.persistence.transactions import Transactions
from servicekit.places import MOST_PATIENCE_SECONDS, MOST_WAIT_SECONDS
from servicekit.tasks import Tasks

MOST_LINES = 2_000
MOST_CALLERS = 2_048
QUIET_TURNS = 16
"""A call takes several turns of the loop from its first byte to its wish; an idle turn takes microseconds."""
ENOUGH_WISHES, ENOUGH_LINES = 64, 1_000
"""Where so many wait, the others are let in while the transaction runs: process and engine work at the same time."""
MOST_SECONDS = 8.0
"""How long a batch may take: less than any call, so that its callers hear of a database that has fallen silent."""


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
        self._batches = Batches(transactions)
        self._left_overs = left_overs
        self._tasks = tasks
        self._most_callers = most_callers
        self._batch_ended = batch_ended
        self._callers = 0
        self._seconds_each = 0.0
        self._waiting: deque[PendingWish] = deque()
        self._lines_waiting = 0
        self._working = False

    @property
    def waiting(self) -> int:
        """How many wishes wait for the next batch."""
        return len(self._waiting)

    async def submit(self, wish: Wish) -> Answer:
        """What became of the wish.

        A caller that leaves takes its wish along if no batch has begun with it; else the batch goes on and the
        outcome is unknown to the caller. Raises the wish's own refusal; Overloaded, at once where it would wait for
        too long, later where that did not show at once; ConcurrentUpdate where others do not let go of a stock; what
        Transactions.run raises.
        """
        wait_seconds = len(self._waiting) * self._seconds_each
        if self._callers >= self._most_callers or wait_seconds > MOST_WAIT_SECONDS:
            raise Overloaded
        pending = PendingWish(wish)
        self._callers += 1
        try:
            self._begin(pending)
            return await pending.answer
        except asyncio.CancelledError:
            if pending in self._waiting:
                self._waiting.remove(pending)
                self._lines_waiting -= pending.lines
            raise
        finally:
            self._callers -= 1

    def _begin(self, pending: PendingWish) -> None:
        if not pending.knows_its_effect:
            self._left_overs.answer_alone(pending)
            return
        self._waiting.append(pending)
        self._lines_waiting += pending.lines
        if not self._working:
            self._working = True
            self._tasks.start(self._work())

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._let_in()
                if batch := self._next_batch():
                    full = len(self._waiting) > 0
                    began = time.monotonic()
                    waits = [began - pending.since for pending in batch]
                    # While some wait for what others have locked, none is waited for here: it may be that again.
                    left_out = await self._batches.answer(batch, skip_locked=len(self._left_overs) > 0)
                    self._left_overs.wait(left_out)
                    seconds = time.monotonic() - began
                    # What a wish costs shows only where all that wait are too many for one batch.
                    self._seconds_each = seconds / len(batch) if full else 0.0
                    self._batch_ended(waits, seconds)
        finally:
            self._working = False
            self._seconds_each = 0.0

    async def _let_in(self) -> None:
        """Lets the wishes in that are on their way through this process, until a few turns of the loop bring none.

        No time passes but that of its own work. A small batch costs about as much as a larger one, so a server that
        is busy should begin few; it ends where enough wait for a large one.
        """
        quiet = 0
        while quiet < QUIET_TURNS and not self._enough_wait:
            before = len(self._waiting)
            await asyncio.sleep(0)
            quiet = 0 if len(self._waiting) > before else quiet + 1

    @property
    def _enough_wait(self) -> bool:
        return len(self._waiting) >= ENOUGH_WISHES or self._lines_waiting >= ENOUGH_LINES

    def _next_batch(self) -> list[PendingWish]:
        batch: list[PendingWish] = []
        lines = 0
        while self._waiting and len(batch) < MOST_WISHES and lines < MOST_LINES:
            pending = self._waiting.popleft()
            self._lines_waiting -= pending.lines
            if time.monotonic() - pending.since > MOST_PATIENCE_SECONDS:
                pending.settle(Overloaded())
            elif not self._left_overs.take(pending):
                batch.append(pending)
                lines += pending.lines
        return batch
