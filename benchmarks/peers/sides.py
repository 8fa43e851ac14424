"""What is asked of every side, and what it answers."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Work:
    """Callers that reserve one unit again and again; caller i takes its k-th unit of skus[(i + k·callers) mod n].

    They go on for `seconds`, or each makes `attempts` where these are given.
    """

    skus: Sequence[str]
    callers: int
    seconds: float = 0.0
    attempts: int = 0

    def as_message(self) -> dict[str, object]:
        """As the programs of the peers read it."""
        return asdict(self)


@dataclass(frozen=True)
class Outcome:
    """What the callers were told: units accepted and refused, other failures by their words, and how long it took."""

    accepted: int
    refused: int
    failures: Mapping[str, int]
    seconds: float

    @property
    def rate(self) -> float:
        """Units accepted a second."""
        return self.accepted / self.seconds


@dataclass(frozen=True)
class Books:
    """What a side's own database says of some skus, in units: those there, those counted as sold, those with a row."""

    there: int
    counted: int
    rows: int


@dataclass(frozen=True)
class About:
    """What a reader must know of a side: its versions, how it is configured, what it lacks beside holdfast."""

    name: str
    versions: str
    configuration: str
    lacks: str


class Side(Protocol):
    """One way to reserve stock, ready to work."""

    @property
    def about(self) -> About:
        """For the report."""

    async def stock(self, skus: Sequence[str], quantity: int) -> None:
        """Makes stocks of so many units each."""

    async def reserve(self, work: Work) -> Outcome:
        """Lets the callers work."""

    async def books(self, skus: Sequence[str]) -> Books:
        """Reads the database itself, not through the side."""

    async def forget(self) -> None:
        """Empties the tables that its turns fill, so that the next finds them as the one before did."""


class Refused(Exception):
    """There is not enough stock."""


@dataclass
class Tally:
    """Counts what callers are told while they work."""

    accepted: int = 0
    refused: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    async def work(self, work: Work, reserve: Callable[[int, str], Awaitable[int]]) -> Outcome:
        """Lets callers of this process work; `reserve(caller, sku)` answers the units it got or raises Refused."""
        begin = time.perf_counter()
        until = begin + work.seconds

        async def call(caller: int) -> None:
            turn = 0
            while turn < work.attempts if work.attempts else time.perf_counter() < until:
                sku = work.skus[(caller + turn * work.callers) % len(work.skus)]
                turn += 1
                try:
                    # Added only after the wait: `+=` around it would forget what others added meanwhile.
                    got = await reserve(caller, sku)
                    self.accepted += got
                except Refused:
                    self.refused += 1
                except Exception as failure:
                    # Whatever it is, the round goes on and tells it; the books decide whether it counts.
                    self.failures[f"{type(failure).__name__}: {failure}".splitlines()[0][:120]] += 1

        await asyncio.gather(*(call(caller) for caller in range(work.callers)))
        return Outcome(self.accepted, self.refused, dict(self.failures), time.perf_counter() - begin)
