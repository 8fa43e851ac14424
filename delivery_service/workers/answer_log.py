"""Answers of inventory are recorded many at a time: a transaction takes up what came while the one before it ran.

Nobody waits for a timer, and nobody for another's package: what somebody else has locked, and every answer of a
batch that failed, is recorded by itself beside the next batch.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

import structlog

from delivery_service.application.ports import Transactions
from delivery_service.application.record_answers import Settlement, Told, record_answers
from servicekit import traces
from servicekit.errors import DatabaseUnavailable

MOST = 128
ALONE_AT_ONCE = 3

log = structlog.get_logger("answer_log")

_Waiting = tuple[Told, asyncio.Future[Settlement | None]]


class AnswerLog:
    """Where the relay's calls leave their answers."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._waiting: list[_Waiting] = []
        self._recording: asyncio.Task[None] | None = None
        # Whoever waits for a package keeps a connection: callers need the others.
        self._alone = asyncio.Semaphore(ALONE_AT_ONCE)

    async def record(self, told: Told) -> Settlement:
        """Writes one answer down, with others. Raises what Transactions.run raises, and what this answer fails with."""
        answer: asyncio.Future[Settlement | None] = asyncio.get_running_loop().create_future()
        self._waiting.append((told, answer))
        if self._recording is None:
            self._recording = asyncio.create_task(self._record_waiting())
        settlement = await answer
        if settlement is None:
            async with self._alone:
                settlement = (await self._run([told], wait=True))[told.task.lease]
        return settlement

    async def _record_waiting(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._record_batch(batch)
        finally:
            self._recording = None

    async def _record_batch(self, batch: Sequence[_Waiting]) -> None:
        try:
            settlements = await self._run([told for told, _ in batch], wait=False)
        except DatabaseUnavailable:
            # No fault of any answer.
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(DatabaseUnavailable())
            return
        except Exception as error:
            log.warning("batch is taken apart", answers=len(batch), error=repr(error))
            settlements = {}
        for told, answer in batch:
            if not answer.done():
                answer.set_result(settlements.get(told.task.lease))

    async def _run(self, told: Sequence[Told], *, wait: bool) -> dict[tuple[int, str], Settlement]:
        with traces.span("record answers", of=(each.task.traceparent for each in told)):
            return await self._transactions.run(partial(record_answers, told, wait=wait), name="record")
