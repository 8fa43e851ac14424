"""Turns by name: work that wants the same row queues for it in this process, without a connection."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from servicekit.errors import ConcurrentUpdate, Overloaded
from servicekit.places import MOST_WAITING, Places

AT_ONCE = 2
"""One has the row, the next one is on its way to it; a third would only keep a connection from others."""


class Turns:
    """Lets so many at a time to each name, in the order in which they came."""

    def __init__(self) -> None:
        # Each is there for as long as somebody has it or waits for it.
        self._turns: WeakValueDictionary[str, Places] = WeakValueDictionary()
        self._there = 0

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[bool]:
        """Waits for a turn, and has it; answers whether that took time.

        Raises Overloaded at once where too many wait, ConcurrentUpdate where the turn comes too late: somebody has
        the row, and whoever waited on for it would not know in the end what became of its work.
        """
        if self._there >= MOST_WAITING:
            raise Overloaded
        turns = self._turns.setdefault(name, Places(AT_ONCE, too_late=ConcurrentUpdate))
        self._there += 1
        try:
            async with turns.place() as waited:
                yield waited
        finally:
            self._there -= 1
