"""How often a caller may call."""

import math
import time
from collections.abc import Callable

BURST_SECONDS = 1.0
"""Who was silent for so long may send as many calls at once as in that time, and one at least."""


class Rate:
    """Lets so many calls a second through, one process for itself (the generic cell rate algorithm, ITU-T I.371)."""

    def __init__(self, calls_per_second: float, now: Callable[[], float] = time.monotonic) -> None:
        self._interval = 1 / calls_per_second
        self._burst = max(BURST_SECONDS, self._interval)
        self._now = now
        self._due = -math.inf

    def take(self) -> float:
        """Counts a call in and answers 0; or counts nothing and answers the seconds until the next one may come."""
        now = self._now()
        due = max(self._due, now - self._burst) + self._interval
        if due > now:
            return due - now
        self._due = due
        return 0.0
