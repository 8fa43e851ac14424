"""Half of what the services can do, for long, with a few callers who leave: what is in hand stays what it was."""

import asyncio
import time
from collections.abc import Sequence
from statistics import fmean, median_low

from chaos.campaign import Campaign, Trial, call_off, percentile, together
from chaos.observed import Look, Observed, observed_pair, seconds_to_rest
from chaos.visitors import Visitors
from tests.support.town import Town

CALLERS = 16
LEAVING = 0.02
PEAK_SECONDS, LOOK_SECONDS = 10.0, 1.0
FIFTHS = 5
STEADY_SECONDS = 150.0
"""A fifth of a shorter run has too few looks to tell what is usual in it."""
LONG_SECONDS = 900.0
"""A shorter run says nothing about memory and the slowest answers: pools, caches and the engines are still warming."""
MORE_MEGABYTES = 2.0
MORE_OF_ANY = 5
SLOWER = 1.2
MOST_SECONDS = 15.0


async def run(trial: Trial) -> None:
    """The peak first, which warms everything up; then half of it, second after second."""
    async with observed_pair(trial.engine, trial.folder) as (pair, observed):
        town = Town(pair)
        visitors = Visitors(trial, town, leaving=LEAVING)
        await visitors.open()
        rate = await _peak(visitors) / 2
        trial.contention["visits in a minute"] = round(60 * rate)
        visitors.seconds.clear()
        before = visitors.unanswered + town.repeated
        looks: list[list[Look]] = [[] for _ in observed]
        began = time.monotonic()
        looking = asyncio.create_task(_look(observed, looks))
        await _come(trial, visitors, rate)
        ended = time.monotonic()
        await call_off(looking)
        unanswered = visitors.unanswered + town.repeated - before
        trial.require(unanswered == 0, f"{unanswered} calls had to be made again though nobody had left")
        _judge_answers(trial, visitors, began, ended)
        for each, seen in zip(observed, looks, strict=True):
            judge_process(trial, each.process.service, seen, began, ended)
        seconds, busy = await seconds_to_rest(observed, MOST_SECONDS)
        trial.recoveries.append(seconds)
        trial.violations.extend(busy)
        await visitors.check()
        await town.close()


async def _peak(visitors: Visitors) -> float:
    """How many visits a second CALLERS make, each one after the other."""
    until, visits = time.monotonic() + PEAK_SECONDS, 0

    async def come() -> None:
        nonlocal visits
        while time.monotonic() < until:
            await visitors.visit()
            visits += 1

    await together(*(come() for _ in range(CALLERS)))
    return visits / PEAK_SECONDS


async def _come(trial: Trial, visitors: Visitors, rate: float) -> None:
    """So many visits a second, each at its time, for as many seconds as the trial has attempts."""
    began, begun = time.monotonic(), 0
    async with asyncio.TaskGroup() as visits:
        while trial.more:
            now = time.monotonic() - began
            while begun < now * rate:
                visits.create_task(visitors.visit())
                begun += 1
            trial.attempted(min(int(now), trial.size) - trial.attempts)
            await asyncio.sleep(1 / rate)


async def _look(observed: Sequence[Observed], looks: list[list[Look]]) -> None:
    while True:
        for each, seen in zip(observed, looks, strict=True):
            seen.append(await each.look())
        await asyncio.sleep(LOOK_SECONDS)


def _judge_answers(trial: Trial, visitors: Visitors, began: float, ended: float) -> None:
    fifth = (ended - began) / FIFTHS
    first, *_, last = [
        percentile([took for at, took in visitors.seconds if 0 <= at - began - n * fifth < fifth], 0.99)
        for n in range(FIFTHS)
    ]
    trial.contention["calls answered"] = len(visitors.seconds)
    trial.contention["milliseconds at the 99th percentile, first fifth"] = round(1000 * first)
    trial.contention["milliseconds at the 99th percentile, last fifth"] = round(1000 * last)
    long = ended - began >= LONG_SECONDS
    trial.require(
        not long or last <= SLOWER * first,
        f"the 99th percentile was {first:.3f} s at first, {last:.3f} at last",
    )


def judge_process(trial: Trial, service: str, looks: Sequence[Look], began: float, ended: float) -> None:
    """The last fifth beside the second: in the first one pools and caches are filled."""
    fifth = (ended - began) / FIFTHS
    early = [look for look in looks if fifth <= look.at - began < 2 * fifth]
    late = [look for look in looks if look.at - began >= (FIFTHS - 1) * fifth]
    steady = ended - began >= STEADY_SECONDS
    if not early or not late:
        trial.require(not steady, f"{service}: nobody looked at it when it was to be judged")
        return
    # For a moment every 15 s delivery's probes have eight connections of their own: what is usual tells. Tasks come and
    # go with every call: there the quietest moment has what is left over.
    for what, of in (("descriptors", median_low), ("sessions", median_low), ("tasks", min)):
        before, after = (of([getattr(look, what) for look in part]) for part in (early, late))
        trial.require(
            not steady or after <= before + MORE_OF_ANY,
            f"{service}: {before} {what} at first, {after} at last",
        )
    if ended - began >= LONG_SECONDS:
        megabytes, grown = _slope([look for look in looks if look.at - began >= fifth])
        trial.contention[f"KiB an hour of {service}"] = round(megabytes * 3600 * 1024)
        trial.require(grown < MORE_MEGABYTES, f"{service}: {grown:.1f} MiB more at last than at first")


def _slope(looks: Sequence[Look]) -> tuple[float, float]:
    """The straight line through the memory seen: MiB a second, and MiB from its beginning to its end."""
    at, megabytes = fmean(look.at for look in looks), fmean(look.megabytes for look in looks)
    spread = sum((look.at - at) ** 2 for look in looks)
    slope = sum((look.at - at) * (look.megabytes - megabytes) for look in looks) / spread if spread else 0.0
    return slope, slope * (looks[-1].at - looks[0].at)


CAMPAIGN = Campaign(
    number=15,
    title="Soak at half load, 2 % of the callers leave",
    promises=(4, 9),
    attempt="seconds at half load",
    short=180,
    long=1_200,
    run=run,
    contention=("calls answered",),
    engines=("mysql", "mariadb"),
    slowest_recovery=5.0,
)
