"""Group commit: a transaction takes up all that arrived while the one before it ran.

Nobody waits for a timer: a lone wish begins at once, and batches grow with the load. What somebody else keeps locked
is left out of a batch, and a batch that fails is halved until only the wish that made it fail is refused.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import structlog

from inventory_service.application.answer_wishes import Answer, StockLocked, Wish, answer_wishes
from inventory_service.application.ports import UnitOfWork
from inventory_service.domain.commands import ExtendReservation, ReserveStock
from servicekit.crash_points import crash_point
from servicekit.errors import ConcurrentUpdate, DatabaseUnavailable, Overloaded
from servicekit.tasks import Tasks
from servicekit.transactions import Transactions

MOST_WISHES = 256
MOST_LINES = 2_000
MOST_CALLERS = 2_048
QUIET_TURNS = 16
"""A call takes several turns of the loop from its first byte to its wish; an idle turn takes microseconds."""
MOST_SECONDS = 10.0
"""How long a batch may take: no call lasts longer."""
MOST_LEFT_OUT = 5
"""How often a wish waits for the next batch because others have its stock in hand; then it waits for them alone."""
BESIDE_AT_ONCE = 3
"""Transactions beside the batches: they come from the pool that all other calls share."""
MOST_ALONE = 256

log = structlog.get_logger("group_commit")


@dataclass(eq=False)
class _Waiting:
    """A wish, and the future that its caller awaits; it is cancelled when the caller gives up."""

    wish: Wish
    answer: asyncio.Future[Answer] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    left_out: int = 0

    @property
    def lines(self) -> int:
        command = self.wish.command
        return len(command.quantities) if isinstance(command, ReserveStock) else 1

    @property
    def knows_its_effect(self) -> bool:
        """Whether it can be run again after a commit of which nobody knows whether it took."""
        command = self.wish.command
        etag = isinstance(command, ExtendReservation) and command.expected_version is not None
        return self.wish.request is not None or not etag

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
        batches: Transactions[UnitOfWork],
        beside: Transactions[UnitOfWork],
        tasks: Tasks,
        *,
        most_callers: int = MOST_CALLERS,
    ) -> None:
        """`batches` runs the batches, one at a time; `beside` what one left out or failed with, beside the next."""
        self._batches = batches
        self._beside = beside
        self._tasks = tasks
        self._most_callers = most_callers
        self._callers = 0
        self._waiting: deque[_Waiting] = deque()
        self._working = False
        self._turns_beside = asyncio.Semaphore(BESIDE_AT_ONCE)
        self._waiting_alone = 0

    async def submit(self, wish: Wish) -> Answer:
        """What became of the wish.

        A caller that leaves takes its wish along if no batch has begun with it; else the batch goes on and the
        outcome is unknown to the caller. Raises the wish's own refusal; Overloaded at once where too many callers
        wait; ConcurrentUpdate where others do not let go of a stock; what Transactions.run raises.
        """
        if self._callers >= self._most_callers:
            raise Overloaded
        waiting = _Waiting(wish)
        self._callers += 1
        try:
            self._begin(waiting)
            return await waiting.answer
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            raise
        finally:
            self._callers -= 1

    def _begin(self, waiting: _Waiting) -> None:
        if not waiting.knows_its_effect:
            self._answer_alone(waiting)
            return
        self._waiting.append(waiting)
        if not self._working:
            self._working = True
            self._tasks.start(self._work())

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._let_in()
                if batch := self._next_batch():
                    await self._answer_batch(batch)
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

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        lines = 0
        while self._waiting and len(batch) < MOST_WISHES and lines < MOST_LINES:
            batch.append(self._waiting.popleft())
            lines += batch[-1].lines
        return batch

    async def _answer_batch(self, batch: Sequence[_Waiting]) -> None:
        tries = count()

        async def work(uow: UnitOfWork) -> list[Answer | Exception]:
            # At first it waits a moment for what others have in hand; then it goes on without.
            return await answer_wishes(_wishes(batch), uow, skip_locked=next(tries) > 0)

        try:
            async with asyncio.timeout(MOST_SECONDS):
                # A task of its own: a database that says nothing any more may keep even its end waiting.
                answers = await self._tasks.run(self._batches.run(work, name="batch", repeatable=True))
        except (DatabaseUnavailable, TimeoutError):
            _settle(batch, DatabaseUnavailable)
        except Exception as error:
            log.warning("batch is taken apart", wishes=len(batch), error=type(error).__name__)
            self._take_apart(batch, error)
        else:
            self._deliver(batch, answers)

    def _deliver(self, batch: Sequence[_Waiting], answers: Sequence[Answer | Exception]) -> None:
        left_out: list[_Waiting] = []
        for number, (waiting, answer) in enumerate(zip(batch, answers, strict=True)):
            if number == 1:
                crash_point("batch.some_replies")
            if isinstance(answer, StockLocked):
                left_out.append(waiting)
            else:
                waiting.settle(answer)
        for waiting in reversed(left_out):
            waiting.left_out += 1
            if waiting.left_out == MOST_LEFT_OUT:
                self._answer_alone(waiting)
            elif not waiting.answer.done():
                self._waiting.appendleft(waiting)

    def _answer_alone(self, waiting: _Waiting) -> None:
        if self._waiting_alone >= MOST_ALONE:
            waiting.settle(ConcurrentUpdate())
            return
        self._waiting_alone += 1
        self._tasks.start(self._wait_alone(waiting))

    async def _wait_alone(self, waiting: _Waiting) -> None:
        try:
            await self._answer_apart([waiting])
        finally:
            self._waiting_alone -= 1

    def _take_apart(self, batch: Sequence[_Waiting], error: Exception) -> None:
        """Answers it in parts, beside the batches that follow: these do not wait for the guilty one."""
        size = 1 if isinstance(error, ConcurrentUpdate) else max(1, len(batch) // 2)
        for start in range(0, len(batch), size):
            self._tasks.start(self._answer_apart(batch[start : start + size]))

    async def _answer_apart(self, part: Sequence[_Waiting]) -> None:
        async with self._turns_beside:
            part = [waiting for waiting in part if not waiting.answer.done()]
            if not part:
                return
            repeatable = all(waiting.knows_its_effect for waiting in part)
            try:
                answers = await self._beside.run(
                    lambda uow: answer_wishes(_wishes(part), uow), name="batch", repeatable=repeatable
                )
            except DatabaseUnavailable:
                _settle(part, DatabaseUnavailable)
            except Exception as error:
                if len(part) > 1:
                    self._take_apart(part, error)
                else:
                    part[0].settle(error)
            else:
                self._deliver(part, answers)
        crash_point("batch.between_isolated")


def _wishes(batch: Sequence[_Waiting]) -> list[Wish]:
    return [waiting.wish for waiting in batch]


def _settle(batch: Sequence[_Waiting], error: type[Exception]) -> None:
    # One for each: whoever raises it adds his own traceback.
    for waiting in batch:
        waiting.settle(error())
