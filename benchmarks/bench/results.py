"""What a run measured: every turn as it was, and medians, spreads and ratios of them."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


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
    """One row in one round. CPU is in seconds; `foreign_cores` is what others used of the machine meanwhile."""

    row: str
    round: int
    load: Load
    server_cpu_seconds: float
    database_cpu_seconds: float
    foreign_cores: float

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.load.operations / self.load.seconds

    @property
    def server_microseconds(self) -> float:
        """CPU of all servers for one operation."""
        return self.server_cpu_seconds / self.load.operations * 1e6


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


def paired(over: Sequence[Turn], under: Sequence[Turn], figure: Callable[[Turn], float]) -> Spread:
    """Ratios of two rows, each of turns of one round, so that the machine's mood strikes both."""
    others = {turn.round: turn for turn in under}
    return Spread.of([figure(turn) / figure(others[turn.round]) for turn in over if turn.round in others])
