"""What a run measured: every turn as it was, and medians, spreads and ratios of them."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain


class Void(Exception):
    """The books do not say what was acknowledged, so no figure of this run counts."""


@dataclass(frozen=True)
class Load:
    """What one client did: operations answered OK, over how many seconds, with how many of its own CPU.

    Latencies are in milliseconds, where they were taken.
    """

    operations: int
    seconds: float
    client_cpu_seconds: float
    p50: float | None = None
    p99: float | None = None


@dataclass(frozen=True)
class Turn:
    """One row in one round. CPU is in seconds, of servers None where the row has none.

    `foreign_cores` is what others used of the machine meanwhile, `idle_cores` what the servers used in the same round
    while nobody called.
    """

    row: str
    round: int
    load: Load
    server_cpu_seconds: float | None
    database_cpu_seconds: float
    foreign_cores: float
    idle_cores: float = 0.0

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.load.operations / self.load.seconds

    @property
    def server_microseconds(self) -> float | None:
        """CPU of all servers for one operation, without what they use while nobody calls."""
        if self.server_cpu_seconds is None:
            return None
        idle = self.idle_cores * self.load.seconds
        return (self.server_cpu_seconds - idle) / self.load.operations * 1e6


@dataclass(frozen=True)
class Spread:
    """A figure of several rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> "Spread":
        """StatisticsError where there is none."""
        return cls(statistics.median(figures), min(figures), max(figures))


def spread(turns: Sequence[Turn], figure: Callable[[Turn], float]) -> Spread:
    """A figure of each of the turns."""
    return Spread.of([figure(turn) for turn in turns])


def paired(over: Sequence[Turn], under: Sequence[Sequence[Turn]], figure: Callable[[Turn], float]) -> Spread:
    """Ratios of turns of one round, so that the machine's mood strikes both; of several below, the most counts."""
    most: dict[int, float] = {}
    for turn in chain.from_iterable(under):
        most[turn.round] = max(figure(turn), most.get(turn.round, 0.0))
    return Spread.of([figure(turn) / most[turn.round] for turn in over if turn.round in most])
