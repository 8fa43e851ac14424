"""Places for so much work at once, and those who wait for one in the order in which they came."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from servicekit.errors import KitRefusal, Overloaded

MOST_WAITING = 1000
MOST_WAIT_SECONDS = 1.5
"""Nobody is let in who would wait for longer than this."""
MOST_PATIENCE_SECONDS = 4.0
"""Who waits for this long all the same leaves, so that its caller hears in time that nothing was done."""


class Places:
    """So many, and a queue for them that is bounded by the time that a newcomer would wait in it.

    How long that is, the last one who got a place has shown: it waited for those who came before it. What a queue has
    shown is over when nobody waits in it any more; until it shows something, only its number bounds it.
    """

    def __init__(self, number: int, *, too_late: type[KitRefusal] = Overloaded) -> None:
        """`too_late` is raised where a place does not come in time, though it seemed so."""
        self._places = asyncio.Semaphore(number)
        self._too_late = too_late
        self._since: dict[object, float] = {}
        self._seconds_each = 0.0

    @property
    def length(self) -> int:
        """How many wait."""
        return len(self._since)

    @property
    def waited_seconds(self) -> float:
        """How long the first of them has waited; 0 if nobody does."""
        return monotonic() - next(iter(self._since.values())) if self._since else 0.0

    @asynccontextmanager
    async def place(self, *, patient: bool = False) -> AsyncIterator[bool]:
        """Waits for one, and answers whether that took time; who is `patient` does so however long it takes.

        Raises Overloaded at once where too many wait already, `too_late` after MOST_PATIENCE_SECONDS.
        """
        if not patient and self._is_full():
            raise Overloaded
        waits = self._places.locked()
        if waits:
            await self._wait(None if patient else MOST_PATIENCE_SECONDS)
        else:
            await self._places.acquire()
        try:
            yield waits
        finally:
            self._places.release()

    def _is_full(self) -> bool:
        return self.length >= MOST_WAITING or self.length * self._seconds_each > MOST_WAIT_SECONDS

    async def _wait(self, most_seconds: float | None) -> None:
        waiter, since, before = object(), monotonic(), self.length
        self._since[waiter] = since
        try:
            async with asyncio.timeout(most_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise self._too_late from None
        finally:
            del self._since[waiter]
            if not self._since:
                self._seconds_each = 0.0
        if self._since:
            self._seconds_each = (monotonic() - since) / (before + 1)
