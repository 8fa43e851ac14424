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
LATELY = 16
"""So many of those who got a place last tell how fast the queue moves."""


class Places:
    """So many, and a queue for them that is bounded by the time that a newcomer would wait in it.

    How long that is, the queue shows by the pace at which it moved lately. A queue that was empty, or has not moved
    yet, has shown nothing: then only its number bounds it.
    """

    def __init__(self, number: int, *, too_late: type[KitRefusal] = Overloaded) -> None:
        """`too_late` is raised where a place does not come in time, though it seemed so."""
        self._too_late = too_late
        self._places = asyncio.Semaphore(number)
        self._since: dict[object, float] = {}
        self._seconds_each = 0.0
        self._moved = 0.0

    @property
    def length(self) -> int:
        """How many wait."""
        return len(self._since)

    @property
    def waited_seconds(self) -> float:
        """How long the first of them has waited; 0 if nobody does."""
        return monotonic() - next(iter(self._since.values())) if self._since else 0.0

    def has_room(self, others: int = 0) -> bool:
        """Whether one more may come, behind those who wait here and so many others on their way here."""
        wait_seconds = (self.length + others) * self._seconds_each
        return self.length < MOST_WAITING and wait_seconds <= MOST_WAIT_SECONDS

    @asynccontextmanager
    async def place(self, *, patient: bool = False) -> AsyncIterator[bool]:
        """Waits for one, and answers whether that took time.

        Who is `patient` is let in always, and waits however long it takes. Raises Overloaded at once where there is
        no room, `too_late` after MOST_PATIENCE_SECONDS.
        """
        if not (patient or self.has_room()):
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

    async def _wait(self, most_seconds: float | None) -> None:
        waiter = object()
        self._since[waiter] = monotonic()
        try:
            async with asyncio.timeout(most_seconds):
                await self._places.acquire()
            self._move_on()
        except TimeoutError:
            raise self._too_late from None
        finally:
            del self._since[waiter]
            if not self._since:
                self._seconds_each = self._moved = 0.0

    def _move_on(self) -> None:
        now = monotonic()
        if self._moved:
            self._seconds_each += (now - self._moved - self._seconds_each) / LATELY
        self._moved = now
