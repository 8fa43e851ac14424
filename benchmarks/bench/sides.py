"""What a panel hands to the measurement: for each row what to do and how to judge it, and whose processor to watch."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace

from benchmarks.bench.caller import Caller
from benchmarks.bench.h2load import H2load
from benchmarks.bench.results import Load
from benchmarks.bench.row import PYTHON, Row
from benchmarks.bench.site import Site
from benchmarks.bench.wishes import numbered
from devtools.engines.engine import Programs


@dataclass(frozen=True)
class Tools:
    """What a run has to measure with; h2load, or the programs with pgbench, are None where they cannot be had."""

    postgres: str
    seconds: float
    seed: int
    short: bool
    caller: Caller
    h2load: H2load | None
    engine: Programs | None


async def _as_it_is(_: float) -> None:
    """Most turns need nothing beforehand."""


@dataclass(frozen=True)
class Side:
    """One row in its panel, whose turns take the seconds given.

    `settle` raises Void where the books are not as the load says, and tidies up; `ready` makes, before anybody looks at
    the clock, what a turn uses up.
    """

    operate: Callable[[float], Awaitable[Load]]
    settle: Callable[[Load], Awaitable[None]]
    servers: Sequence[int]
    databases: Sequence[int]
    ready: Callable[[float], Awaitable[None]] = _as_it_is


@dataclass
class Opened:
    """A panel whose processes run: its sides by row, the processes whose memory is told, by name, and its own facts.

    Each of `checks` is made once the last turn is over, and raises Void.
    """

    sides: Mapping[str, Side]
    checks: Sequence[Callable[[], Awaitable[None]]]
    processes: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)


LEAST = 8
"""Requests that tell a client how many make up a second."""

ONE_UNIT = Row("", "", PYTHON)
Settle = Callable[[Load], Awaitable[None]]
Panel = Callable[[Tools, Sequence[Row]], AbstractAsyncContextManager[Opened]]


class Sending:
    """One row of h2load: as many requests as the last turn's rate makes of the seconds wanted."""

    def __init__(self, client: H2load, urls: Sequence[str], body: bytes, in_flight: int) -> None:
        self._client = client
        self._urls = urls
        self._body = body
        self._in_flight = in_flight
        self._rate = 0.0

    async def __call__(self, seconds: float) -> Load:
        share = max(round(self._rate * seconds / len(self._urls)), self._in_flight, LEAST)
        load = await self._client.send(
            self._urls, self._body, requests=share * len(self._urls), in_flight=self._in_flight
        )
        self._rate = load.operations / load.seconds
        return load


def reserving(site: Site, row: Row = ONE_UNIT, *, requests: bool = False) -> Settle:
    """Every operation made reservations as its row says, and the record of a request where told; they are forgotten."""

    async def settle(load: Load) -> None:
        made, units = load.operations * row.messages, load.operations * row.units
        await site.books.require(
            reservations=made,
            lines=units,
            held_units=units,
            reserved_units=units,
            requests=made if requests else 0,
        )
        await site.check_turn()
        await site.books.clear()

    return settle


def repeating(site: Site) -> Settle:
    """Some of the ids were those of the call before, and were answered as that was. Nobody else may repeat any."""
    settle, sent = reserving(site), 0

    async def settle_repeated(load: Load) -> None:
        nonlocal sent
        first, sent = sent + 1, sent + load.operations
        ids = {numbered(call) for call in range(first, sent + 1)}
        await settle(replace(load, operations=len(ids)))

    return settle_repeated
