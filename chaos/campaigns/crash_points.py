"""A process dies at each named crash point in the midst of a story, and is started again: the story ends the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from chaos.campaign import Campaign, Trial, told
from chaos.stories import DELIVERY, INVENTORY, Story
from tests.support.services import Pair, ServiceProcess, running_pair
from tests.support.town import Town

CRASHED = 137
POINTS = len(DELIVERY) + len(INVENTORY)


async def run(trial: Trial) -> None:
    """Round after round of all points, on one pair of services."""
    async with running_pair(trial.engine, trial.folder) as pair:
        points = [
            *((pair.delivery, point, story) for point, story in DELIVERY),
            *((pair.inventory, point, story) for point, story in INVENTORY),
        ]
        while trial.more:
            process, point, story = points[trial.attempts % len(points)]
            for broken in await _told(pair, process, point, story):
                trial.violations.append(f"{point}: {broken}")
            trial.faults["deaths at a crash point"] += 1
            trial.attempted()


async def _told(pair: Pair, process: ServiceProcess, point: str, story: Story) -> list[str]:
    """Why the story did not end as it should, and what the books say after it."""
    town = Town(pair)
    try:
        await town.found()
        async with dying_at(process, point):
            await story(town)
        return await town.findings()
    except AssertionError as otherwise:
        return [told(otherwise)]
    finally:
        await town.close()


@asynccontextmanager
async def dying_at(process: ServiceProcess, points: str) -> AsyncIterator[None]:
    """Runs the process so that it dies at each of the points in turn, and is started again as a supervisor would."""
    first, *others = points.split()
    await process.terminate()
    await process.start(HOLDFAST_CRASH_AT=first)
    deaths: list[int] = []

    async def supervise() -> None:
        for following in (*others, ""):
            deaths.append(await process.ended(60))
            process.launch(HOLDFAST_CRASH_AT=following)

    supervisor = asyncio.create_task(supervise())
    try:
        yield
        with suppress(TimeoutError):
            async with asyncio.timeout(30):
                await supervisor
        await process.serving()
    finally:
        supervisor.cancel()
    assert deaths == [CRASHED] * (1 + len(others)), f"{points} was not reached"


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
