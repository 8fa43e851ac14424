"""Sides that are asked in turns, so that the machine's mood strikes all of them alike."""

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

WARM_UP = 2
"""Rounds that fill caches and do not count."""


@dataclass(frozen=True)
class Times:
    """What a client waited, in milliseconds: one figure a round."""

    taken: Sequence[float]

    @property
    def fastest(self) -> float:
        """What ratios are of where the machine is busy with other things."""
        return min(self.taken)

    @property
    def median(self) -> float:
        """What half of the rounds kept to."""
        return statistics.median(self.taken)

    @property
    def slowest(self) -> float:
        """The other end of the spread."""
        return max(self.taken)


async def take_turns(
    sides: Sequence[Callable[[int], Awaitable[object]]], *, seconds: float, fewest: int, most: int
) -> list[Times]:
    """Calls each side with the number of the round, from 0 on, for about so long."""
    taken: list[list[float]] = [[] for _ in sides]
    until = time.monotonic() + seconds
    for turn in range(most + WARM_UP):
        for side, times in zip(sides, taken, strict=True):
            begin = time.perf_counter()
            await side(turn)
            times.append((time.perf_counter() - begin) * 1000)
        if time.monotonic() > until and turn >= fewest + WARM_UP - 1:
            break
    return [Times(times[WARM_UP:]) for times in taken]
