"""What the run is asked to show, as ratios of rows that were measured in turns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.bench.results import Spread, Turn, paired, spread
from benchmarks.bench.rows import PANELS

_UNITS = {row.key: row.units for panel in PANELS for row in panel.rows}


def units(turn: Turn) -> float:
    """Units reserved a second."""
    return turn.rate * _UNITS[turn.row]


def cpu(turn: Turn) -> float:
    """Server CPU of one operation."""
    assert turn.server_microseconds is not None
    return turn.server_microseconds


def wait(turn: Turn) -> float:
    """What an operation takes on average where only one is in flight."""
    return 1 / turn.rate


def tail(turn: Turn) -> float:
    """How much longer one of a hundred waits than half of them do."""
    assert turn.load.p99 is not None and turn.load.p50 is not None
    return turn.load.p99 / turn.load.p50


@dataclass(frozen=True)
class Target:
    """A ratio that shall be at least, or at most, so much. Without `under` the figure is a ratio by itself.

    Of several rows in `under` the one with the greatest figure counts, in each round.
    """

    title: str
    over: str
    under: tuple[str, ...]
    figure: Callable[[Turn], float]
    least: float | None = None
    most: float | None = None
    stretch: float | None = None

    @property
    def wanted(self) -> str:
        """The bound in words."""
        bound = f"≥ {self.least:g}" if self.least is not None else f"≤ {self.most:g}"
        return f"{bound} (stretch {self.stretch:g})" if self.stretch is not None else bound

    def measured(self, turns: Mapping[str, Sequence[Turn]]) -> Spread | None:
        """The ratio; None where a row of it was not measured."""
        over, under = turns.get(self.over), [turns.get(key, ()) for key in self.under]
        if not over or not all(under):
            return None
        return paired(over, under, self.figure) if under else spread(over, self.figure)

    def verdict(self, ratio: Spread) -> str:
        """Whether the whole spread keeps to it, or only the median, or not even that."""
        if self._kept(ratio.least) and self._kept(ratio.most):
            return "met"
        return "met by the median" if self._kept(ratio.median) else "**missed**"

    def _kept(self, figure: float) -> bool:
        return figure >= (self.least or 0.0) and (self.most is None or figure <= self.most)


TARGETS = (
    Target("reserve hot ÷ empty call", "reserve-hot", ("empty",), units, least=0.75, stretch=0.9),
    Target(
        "reserve hot ÷ empty call, Python client",
        "reserve-hot-python",
        ("empty-python",),
        units,
        least=0.9,
    ),
    Target("reserve hot ÷ uniform", "reserve-hot", ("reserve-uniform",), units, least=0.9),
    Target(
        "reserve hot ÷ three statements a request, the better order",
        "reserve-hot",
        ("three-hot", "three-first-hot"),
        units,
        least=4,
    ),
    Target("units of 50-line calls ÷ empty calls", "reserve-lines", ("empty",), units, least=8),
    Target("stream ÷ empty unary call", "stream-hot", ("empty",), units, least=2),
    Target("p99 ÷ p50 at 50 % of the peak", "latency-50", (), tail, most=5),
    Target("server CPU of reserve hot ÷ empty call", "reserve-hot", ("empty",), cpu, most=1.35),
    Target("server CPU with interceptors ÷ without", "empty", ("bare",), cpu, most=1.15),
    Target("1,000,000 ÷ 1,000 stocks", "stocks-1000000", ("stocks-1000",), units, least=0.9),
    Target("create transaction ÷ ORM form", "create-transaction", ("create-orm",), units, least=3),
    Target(
        "one call in 20 repeats an id ÷ none does",
        "reserve-hot-repeated",
        ("reserve-hot",),
        units,
        least=0.7,
    ),
    Target("a lone reservation's wait ÷ three statements'", "lone-reserve", ("lone-three",), wait, most=1.1),
)

NOISE = (
    Target("empty call, the same again ÷ once", "empty-again", ("empty",), units),
    Target("reserve hot, the same again ÷ once", "reserve-hot-again", ("reserve-hot",), units),
    Target("server CPU of the empty call, the same again ÷ once", "empty-again", ("empty",), cpu),
    Target("server CPU of reserve hot, the same again ÷ once", "reserve-hot-again", ("reserve-hot",), cpu),
)
"""Rows against themselves: what is no further from 1 than these shows nothing."""

BESIDE = (
    Target(
        "reserve hot, with a ttl and a request_id ÷ without", "reserve-hot-recorded", ("reserve-hot",), units
    ),
    Target("three statements, the UPDATE last ÷ first", "three-hot", ("three-first-hot",), units),
    Target("reserve hot ÷ one statement a request", "reserve-hot", ("single-hot",), units),
    Target("reserve uniform ÷ three statements", "reserve-uniform", ("three-uniform",), units),
    Target("reserve uniform ÷ one statement", "reserve-uniform", ("single-uniform",), units),
    Target("units of calls of the same 50 lines ÷ empty calls", "reserve-lines-hot", ("empty",), units),
    Target("stream, any sku ÷ empty unary call", "stream-uniform", ("empty",), units),
    Target("reserve hot ÷ the engine alone", "reserve-hot", ("engine-hot",), units),
    Target("reserve uniform ÷ the engine alone", "reserve-uniform", ("engine-uniform",), units),
    Target("stream ÷ empty unary call, Python client", "stream-hot-python", ("empty-python",), units),
    Target("256 callers ÷ 64", "clients-256", ("clients-64",), units),
    Target("64 callers ÷ 1", "clients-64", ("clients-1",), units),
    Target("2 servers ÷ 1", "servers-2", ("servers-1",), units),
    Target("4 servers ÷ 1", "servers-4", ("servers-1",), units),
    Target("without idx_stock_reserved ÷ with it, any sku", "unindexed", ("stocks-1000",), units),
    Target("without idx_stock_reserved ÷ with it, one sku", "unindexed-hot", ("indexed-hot",), units),
)
"""Ratios that are told and bound to nothing."""
