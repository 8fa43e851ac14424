"""Turns by name: work that wants the same row queues for it in this process, without a connection."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

from servicekit.errors import ConcurrentUpdate, Overloaded
from servicekit.places import MOST_WAITING, Places

AT_ONCE = 2
"""One has the row, the next one is on its way to it; a third would only keep a connection from others."""


class Turns:
    """Lets so many at a time to each name, in the order in which they came."""

    def __init__(self, has_room: Callable[[int], bool]) -> None:
        """`has_room`: whether there is a connection in time for one more, behind so many who come from here."""
        self._has_room = has_room
        # Each is there for as long as somebody has it or waits for it.
        self._turns: WeakValueDictionary[str, Places] = WeakValueDictionary()
        self._waiting = 0

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[bool]:
        """Waits for a turn, and has it; answers whether that took time.

        Raises Overloaded at once where too many wait, ConcurrentUpdate where the turn comes too late: somebody has
        the row, and whoever waited on for it would not know in the end what became of its work.
        """
        if self._waiting >= MOST_WAITING or not self._has_room(self._waiting):
            raise Overloaded
        turns = self._turns.setdefault(name, Places(AT_ONCE, too_late=ConcurrentUpdate))
        async with AsyncExitStack() as taken:
            self._waiting += 1
            try:
                waited = await taken.enter_async_context(turns.place())
            finally:
                self._waiting -= 1
            yield waited
