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
    first: Sequence[float] = ()
    """The first call of each turn where that is not the one taken: it finds the caches as the side before left them."""

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
    sides: Sequence[Callable[[int], Awaitable[object]]],
    *,
    seconds: float,
    fewest: int,
    most: int,
    calls: int = 1,
) -> list[Times]:
    """Calls each side so many times in each of its turns, for about so long; the last call of a turn is the one taken.

    A side is told the number of the call, from 0 on, the same numbers for all sides.
    """
    taken: list[list[list[float]]] = [[] for _ in sides]
    until = time.monotonic() + seconds
    for turn in range(most + WARM_UP):
        for side, turns in zip(sides, taken, strict=True):
            turns.append([await _timed(side, turn * calls + call) for call in range(calls)])
        if time.monotonic() > until and turn >= fewest + WARM_UP - 1:
            break
    return [
        Times([turn[-1] for turn in turns[WARM_UP:]], [turn[0] for turn in turns[WARM_UP:]])
        for turns in taken
    ]


async def _timed(side: Callable[[int], Awaitable[object]], number: int) -> float:
    begin = time.perf_counter()
    await side(number)
    return (time.perf_counter() - begin) * 1000
