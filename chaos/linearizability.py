"""Whether what callers were told of one object can have happened in one order, each operation at one instant.

Wing and Gong's search with Lowe's memory of what was tried: an operation may come next if none that is still to come
had ended before it began. An operation whose outcome is not known may take effect at any time after it began, or never.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

State = TypeVar("State")


@dataclass(frozen=True)
class Operation(Generic[State]):
    """One call: when it began and ended, and what it does to the state."""

    began: float
    ended: float
    """`math.inf` where the outcome is not known."""
    effect: Callable[[State], State | None]
    """The state afterwards; None where what the caller was told cannot have been told in this state. Hashable."""

    @property
    def certain(self) -> bool:
        """Whether its caller was answered."""
        return self.ended < math.inf


def linearizable(history: Sequence[Operation[State]], state: State) -> bool:
    """Whether there is such an order. `State` must be hashable."""
    operations = sorted(history, key=lambda operation: operation.began)
    certain = sum(1 << place for place, operation in enumerate(operations) if operation.certain)
    tried: set[tuple[int, State]] = set()
    ways = [(0, state)]
    while ways:
        done, state = ways.pop()
        if certain & ~done == 0:
            return True
        for place in _next(operations, done):
            after = operations[place].effect(state)
            if after is None or (way := (done | 1 << place, after)) in tried:
                continue
            tried.add(way)
            ways.append(way)
    return False


def _next(operations: Sequence[Operation[State]], done: int) -> list[int]:
    """Which may come next: those that began before any other that is still to come had ended; the likeliest last.

    Of several with one effect the one that ended first stands for all: wherever another of them can come first, the
    two can change places.
    """
    first: dict[Callable[[State], State | None], int] = {}
    earliest_end = math.inf
    for place, operation in enumerate(operations):
        if done >> place & 1:
            continue
        if operation.began > earliest_end:
            break
        earliest_end = min(earliest_end, operation.ended)
        if operation.ended < operations[first.setdefault(operation.effect, place)].ended:
            first[operation.effect] = place
    return sorted(first.values(), key=lambda place: -operations[place].ended)
