"""A process dies at each named crash point in the midst of a story, and is started again: the story ends the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaos.campaign import Campaign, Trial
from chaos.stories import DELIVERY, INVENTORY
from tests.support.services import ServiceProcess, running_pair
from tests.support.town import Town

CRASHED = 137
POINTS = len(DELIVERY) + len(INVENTORY)


async def run(trial: Trial) -> None:
    """Round after round of all points, on one pair of services."""
    async with running_pair(trial.engine, trial.folder) as pair:
        town = Town(pair)
        await town.found()
        points = [
            *((pair.delivery, point, story) for point, story in DELIVERY),
            *((pair.inventory, point, story) for point, story in INVENTORY),
        ]
        while trial.more:
            process, point, story = points[trial.attempts % len(points)]
            try:
                async with dying_at(process, point):
                    await story(town)
                trial.faults["deaths at a crash point"] += 1
            except AssertionError as otherwise:
                trial.violations.append(f"{point}: {otherwise}")
            trial.violations.extend(f"{point}: {finding}" for finding in await town.findings())
            trial.attempted()
        await town.close()


@asynccontextmanager
async def dying_at(process: ServiceProcess, point: str, then: str = "") -> AsyncIterator[None]:
    """Runs the process so that it dies at a point, once, and is started again as a supervisor would."""
    await process.terminate()
    await process.start(HOLDFAST_CRASH_AT=point)
    deaths: list[int] = []

    async def supervise() -> None:
        for following in (then, "") if then else ("",):
            deaths.append(await process.ended(60))
            process.launch(HOLDFAST_CRASH_AT=following)

    supervisor = asyncio.create_task(supervise())
    try:
        yield
        async with asyncio.timeout(30):
            await supervisor
        await process.serving()
    finally:
        supervisor.cancel()
    assert deaths == [CRASHED] * (2 if then else 1), f"{point} was not reached"


CAMPAIGN = Campaign(
    number=4,
    title="Death at every crash point",
    promises=(8, 9, 10, 16),
    attempt="deaths",
    short=POINTS,
    long=5 * POINTS,
    run=run,
    engines=("mysql", "mariadb"),
)
