"""Turns by name: work that wants the same row queues for it in this process, without a connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from servicekit.errors import ConcurrentUpdate, Overloaded

AT_ONCE = 2
"""One has the row, the next one is on its way to it; a third would only keep a connection from others."""
MOST_WAITING = 1000
MOST_PATIENCE_SECONDS = 4.0
"""How long work waits for its turn: what waited longer would find its own time over while it waits for the row, and its
caller would not know what became of it."""


class Turns:
    """Lets so many at a time to each name, in the order in which they came."""

    def __init__(self) -> None:
        # Each is there for as long as somebody has it or waits for it.
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._waiting = 0

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        """Waits for a turn. Raises Overloaded at once where too many wait, ConcurrentUpdate where it comes too late."""
        if self._waiting >= MOST_WAITING:
            raise Overloaded
        turn = self._turns.setdefault(name, asyncio.Semaphore(AT_ONCE))
        self._waiting += 1
        try:
            async with asyncio.timeout(MOST_PATIENCE_SECONDS):
                await turn.acquire()
        except TimeoutError:
            raise ConcurrentUpdate from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            turn.release()
