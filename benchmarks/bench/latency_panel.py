"""The panel of answers at a fixed rate of arrivals, at shares of what the same server does at most."""

import itertools
import statistics
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from benchmarks.bench import bodies
from benchmarks.bench.inventory_panels import FEW
from benchmarks.bench.inventory_sides import Sides
from benchmarks.bench.results import Load
from benchmarks.bench.rounds import warm_up
from benchmarks.bench.row import H2LOAD, PYTHON, Row
from benchmarks.bench.sides import Opened, Settle, Side, Tools, reserving
from benchmarks.bench.site import RESERVE, Site, site
from benchmarks.bench.wishes import HOT_SKU

PEAK_TURNS = 3
REACH = 0.9
"""Of its own peak a client can do this much without being late itself."""


@asynccontextmanager
async def latency(tools: Tools, rows: Sequence[Row]) -> AsyncIterator[Opened]:
    """Arrivals that no answer holds back; the peak is h2load's, else the Python client's."""
    async with site(tools.postgres, FEW) as place:
        sides, settle = Sides(tools, place), reserving(place)
        own = peak = await _peak(PYTHON, sides, place, settle, tools.seconds)
        if tools.h2load:
            peak = await _peak(H2LOAD, sides, place, settle, tools.seconds)
        made = {}
        for row in rows:
            rate = arrivals(int(row.key.rpartition("-")[2]) / 100, peak, own)
            made[row.key] = arriving_side(row, rate, sides, settle, tools.seed)
        facts = {
            "peak of arrivals": f"{peak:,.0f} a second, by {H2LOAD if tools.h2load else 'the client in Python'}",
            "arrivals at most": f"{own * REACH:,.0f} a second, {REACH * 100:.0f} % of what the client in Python does",
        }
        yield Opened(made, [place.check_all], facts=facts)


def arrivals(share: float, peak: float, own: float) -> float:
    """How many come a second: a share of the peak, and no more than the client that calls for them can do."""
    return min(share * peak, REACH * own)


async def _peak(client: str, sides: Sides, place: Site, settle: Settle, seconds: float) -> float:
    row = Row("peak", "the peak", client)
    if client == H2LOAD:
        body = bodies.framed([bodies.reserve([HOT_SKU])])
        side = sides.sending(row, place.servers[0].url(RESERVE), body, settle)
    else:
        side = sides.calling(row, "reserve", settle, sku=HOT_SKU, stocks=FEW)
    await warm_up(side, seconds)
    rates = []
    for _ in range(PEAK_TURNS):
        load = await side.operate(seconds)
        await settle(load)
        rates.append(load.operations / load.seconds)
    return statistics.median(rates)


def arriving_side(row: Row, rate: float, sides: Sides, settle: Settle, seed: int) -> Side:
    """Each turn has arrivals of its own, the same ones in every run of that seed."""
    turns = itertools.count()

    async def operate(seconds: float) -> Load:
        wish = {"sku": HOT_SKU, "stocks": FEW, "rate": rate, "seed": f"{seed} {row.key} {next(turns)}"}
        return await sides.calling(row, "reserve", settle, **wish).operate(seconds)

    return Side(operate, settle, sides.servers, sides.databases)
