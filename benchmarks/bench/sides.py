"""What a panel hands to the measurement: for each row what to do and how to judge it, and whose processor to watch."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from benchmarks.bench.caller import Caller
from benchmarks.bench.h2load import H2load
from benchmarks.bench.results import Load
from benchmarks.bench.rows import Row
from benchmarks.bench.site import Site
from devtools.engines.engine import Programs


@dataclass(frozen=True)
class Tools:
    """What a run has to measure with; h2load, or the programs with pgbench, are None where they cannot be had."""

    postgres: str
    seconds: float
    short: bool
    caller: Caller
    h2load: H2load | None
    engine: Programs | None


@dataclass(frozen=True)
class Side:
    """One row in its panel. `settle` raises Void where the books are not as the load says, and tidies up."""

    operate: Callable[[float], Awaitable[Load]]
    settle: Callable[[Load], Awaitable[None]]
    servers: Sequence[int]
    databases: Sequence[int]


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


def reserving(site: Site, lines: int = 1) -> Callable[[Load], Awaitable[None]]:
    """Every operation made one reservation of so many lines, each of one unit; then they are forgotten."""

    async def settle(load: Load) -> None:
        await site.books.require(
            reservations=load.operations,
            lines=load.operations * lines,
            held_units=load.operations * lines,
            reserved_units=load.operations * lines,
        )
        await site.check_turn()
        await site.books.clear()

    return settle


def streaming(site: Site, messages: int) -> Callable[[Load], Awaitable[None]]:
    """Every operation was a stream of so many reservations."""
    settle = reserving(site)

    async def settle_streams(load: Load) -> None:
        await settle(Load(load.operations * messages, load.seconds, load.client_cpu_seconds))

    return settle_streams
