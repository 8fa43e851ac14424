"""Whether calls are at work, or only wait until their callers take what they were answered."""

import asyncio
import time
from types import TracebackType


class UnderWay:
    """The calls of a server. A call is at work within `with under_way:`, and not while it is sent to its caller."""

    def __init__(self) -> None:
        self._working = 0
        self._moved = 0.0

    def __enter__(self) -> None:
        self._working += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._working -= 1
        self._moved = time.monotonic()

    async def still(self, seconds: float) -> None:
        """Returns once no call has been at work for so many seconds, from now on.

        A caller that takes what it is sent, however slowly, has its call be at work again and again.
        """
        self._moved = time.monotonic()
        while True:
            left = self._moved + seconds - time.monotonic()
            if left <= 0 and not self._working:
                return
            await asyncio.sleep(left if left > 0 else seconds)
