"""Group commit: a transaction takes up all that arrived while the one before it ran.

Nobody waits for a timer: a lone wish begins at once, and batches grow with the load. A batch that fails is taken
apart, so that only the wish that made it fail is refused.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from inventory_service.application.answer_wishes import Answer, Wish, answer_wishes
from inventory_service.application.ports import UnitOfWork
from inventory_service.domain.commands import ReserveStock
from servicekit.crash_points import crash_point
from servicekit.errors import DatabaseUnavailable, Overloaded
from servicekit.tasks import Tasks
from servicekit.transactions import Transactions

MOST_WISHES = 256
MOST_LINES = 2_000
MOST_WAITING = 2_048

log = structlog.get_logger("group_commit")


@dataclass(eq=False)
class _Waiting:
    """A wish, and the future that its caller awaits; it is cancelled when the caller gives up."""

    wish: Wish
    answer: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def lines(self) -> int:
        command = self.wish.command
        return len(command.quantities) if isinstance(command, ReserveStock) else 1

    def settle(self, answer: Answer | Exception) -> None:
        if self.answer.done():
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


class GroupCommit:
    """Answers wishes, batch after batch, each batch in one transaction."""

    def __init__(
        self,
        together: Transactions[UnitOfWork],
        alone: Transactions[UnitOfWork],
        tasks: Tasks,
        *,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        """`together` runs the batches, one at a time; `alone` runs what is left of one that failed."""
        self._together = together
        self._alone = alone
        self._tasks = tasks
        self._most_waiting = most_waiting
        self._waiting: deque[_Waiting] = deque()
        self._working = False

    async def submit(self, wish: Wish) -> Answer:
        """What became of the wish.

        A caller that leaves takes its wish along if no batch has begun with it; else the batch goes on and the
        outcome is unknown to the caller. Raises the wish's own refusal; Overloaded at once where too many wait;
        what Transactions.run raises.
        """
        if len(self._waiting) >= self._most_waiting:
            raise Overloaded
        waiting = _Waiting(wish)
        self._waiting.append(waiting)
        if not self._working:
            self._working = True
            self._tasks.start(self._work())
        return await waiting.answer

    async def _work(self) -> None:
        try:
            while batch := self._next_batch():
                await self._answer_together(batch)
        finally:
            self._working = False

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        lines = 0
        while self._waiting and len(batch) < MOST_WISHES and lines < MOST_LINES:
            waiting = self._waiting.popleft()
            if not waiting.answer.done():
                batch.append(waiting)
                lines += waiting.lines
        return batch

    async def _answer_together(self, batch: Sequence[_Waiting]) -> None:
        wishes = [waiting.wish for waiting in batch]
        try:
            answers = await self._together.run(partial(answer_wishes, wishes), name="batch", repeatable=True)
        except DatabaseUnavailable as error:
            for waiting in batch:
                waiting.settle(error)
            return
        except Exception as error:
            log.warning("batch is taken apart", wishes=len(batch), error=type(error).__name__)
            # The batches that follow do not wait for the guilty one.
            for waiting in batch:
                self._tasks.start(self._answer_alone(waiting))
            return
        for number, (waiting, answer) in enumerate(zip(batch, answers, strict=True)):
            if number == 1:
                crash_point("batch.some_replies")
            waiting.settle(answer)

    async def _answer_alone(self, waiting: _Waiting) -> None:
        if waiting.answer.done():
            return
        try:
            [answer] = await self._alone.run(
                partial(answer_wishes, [waiting.wish]), name="batch", repeatable=True
            )
        except Exception as error:
            waiting.settle(error)
        else:
            waiting.settle(answer)
        crash_point("batch.between_isolated")
