"""Work that is looked for again and again, woken early by a nudge."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from servicekit.tasks import being_cancelled

log = structlog.get_logger("polling")

FIRST_PAUSE_SECONDS = 0.05
MOST_PAUSE_SECONDS = 5.0


class Poller:
    """Runs a step until told to stop; a step answers whether there is more to do at once."""

    def __init__(self, name: str, step: Callable[[], Awaitable[bool]], *, idle_seconds: float) -> None:
        self.name = name
        self.failed = 0
        """How many steps have failed so far."""
        self._step = step
        self._idle_seconds = idle_seconds
        self._nudged = asyncio.Event()
        self._stopping = False

    def nudge(self) -> None:
        """There may be work now."""
        self._nudged.set()

    def stop(self) -> None:
        """Ends `run` after the step under way."""
        self._stopping = True
        self._nudged.set()

    async def run(self, may_work: Callable[[], bool] = lambda: True) -> None:
        """Polls until stopped; while it may not work, it only waits.

        A failing step is logged and tried again after a pause that doubles up to 5 s.
        """
        failures = 0
        while not self._stopping:
            self._nudged.clear()
            try:
                more = may_work() and await self._step()
                failures = 0
            # A driver may make a CancelledError of its own, which is a failure like any other.
            except (Exception, asyncio.CancelledError) as error:
                if being_cancelled():
                    raise
                failures += 1
                self.failed += 1
                more = False
                log.warning("step failed", poller=self.name, error=repr(error), failures=failures)
            if more or self._stopping:
                continue
            # The exponent is bounded too: a float times 2^1024 is an error, and outages can last.
            after_failure = min(FIRST_PAUSE_SECONDS * 2 ** min(failures, 10), MOST_PAUSE_SECONDS)
            pause = after_failure if failures else self._idle_seconds
            # The jitter keeps replicas from polling in step.
            try:
                async with asyncio.timeout(pause * random.uniform(0.8, 1.2)):
                    await self._nudged.wait()
            except TimeoutError:
                pass
