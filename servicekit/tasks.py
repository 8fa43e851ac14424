"""Work that outlives the call that began it: shielded from its caller's departure, counted, drained at the end."""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

import structlog

T = TypeVar("T")
log = structlog.get_logger("tasks")

MOST_CANCELLED_SECONDS = 3.0
"""How long work that is cancelled may take to end: as long as a connection may take to be closed."""


def being_cancelled() -> bool:
    """Whether somebody has told this task to end; a CancelledError alone does not say so."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Tasks:
    """The registry of work that must not be cut short by a caller that leaves."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Awaits `work` in a task of its own; a cancelled caller leaves, the work goes on to its end."""
        return await asyncio.shield(self._begin(asyncio.create_task(work)))

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Begins `work` for nobody in particular: it does not belong to the call that happens to be under way."""
        self._begin(asyncio.create_task(work, context=Context()))

    def _begin(self, task: asyncio.Task[T]) -> asyncio.Task[T]:
        self._running.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Retrieved here, so that an abandoned failure is no "never retrieved" at exit.
            log.debug("task ended with an error", error=type(error).__name__)

    def __len__(self) -> int:
        return len(self._running)

    async def drain(self, seconds: float) -> bool:
        """Waits for all running work, and for what that begins; False if some had to be cancelled as time ran out.

        What does not end when it is cancelled is left to itself.
        """
        try:
            async with asyncio.timeout(seconds):
                while self._running:
                    await asyncio.wait(self._running)
        except TimeoutError:
            late = set(self._running)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=MOST_CANCELLED_SECONDS)
            return not late
        return True
