"""An upgrade that dies before a statement, any of them, then four at once: same schema, same rows as undisturbed."""

import asyncio

from chaos.campaign import Campaign, Trial
from chaos.schemas import Legacy, legacies
from tests.support.forks import Done, run_command

CRASHED = 137
UPGRADERS = 4
FEW_ROWS = 450
"""More than a backfill takes at once."""
MANY_ROWS = 100_000
EVERY_STATEMENT = 360
"""There are 352 on MariaDB."""
OVER_MANY_ROWS = 10
"""With so many deaths over many rows a long run ends."""


async def run(trial: Trial) -> None:
    """Every statement of the way from the first revision to the newest, in an order that the seed says."""
    over_many = OVER_MANY_ROWS if trial.size > EVERY_STATEMENT else 0
    await _kill(trial, FEW_ROWS, trial.size - over_many)
    if over_many:
        await _kill(trial, MANY_ROWS, trial.size)


async def _kill(trial: Trial, rows: int, until: int) -> None:
    """Until so many attempts of the trial are made."""
    async with legacies(trial.engine, rows) as legacy:
        async with legacy.another() as url:
            statements = await legacy.statements(url)
            if trial.size > EVERY_STATEMENT:
                told = f"of {statements} statements {EVERY_STATEMENT} are tried"
                trial.require(statements <= EVERY_STATEMENT, told)
            wanted = await legacy.contents(url)
            kept = await legacy.kept(url)
            await legacy.down_and_up(url)
            trial.require(await legacy.kept(url) == kept, "down and up again, the database is another")
        while trial.more and trial.attempts < until:
            died = trial.attempts
            for place in trial.random.sample(range(1, statements + 1), statements):
                if not trial.more or trial.attempts == until:
                    return
                async with legacy.another() as url:
                    await _try(trial, legacy, url, place, wanted)
            if trial.attempts == died:
                trial.violations.append("no upgrade died")
                return


async def _try(trial: Trial, legacy: Legacy, url: str, place: int, wanted: list[object]) -> None:
    killed = await _upgrade(legacy, url, HOLDFAST_CRASH_AT=f"migrate.between_steps:{place}")
    if killed.code == 0:
        # Of those counted, some are sent before the revisions begin.
        return
    trial.require(killed.code == CRASHED, f"before statement {place}: {killed.code} {killed.errors[-300:]}")
    after = await asyncio.gather(*(_upgrade(legacy, url) for _ in range(UPGRADERS)))
    for done in after:
        trial.require(done.code == 0, f"after a death before statement {place}: {done.errors[-300:]}")
        trial.contention["upgraders that waited"] += "waiting for it" in done.errors + done.output
    found = await legacy.contents(url)
    trial.require(found == wanted, f"after a death before statement {place} the database is another")
    trial.faults["deaths of an upgrade"] += 1
    trial.attempted()


async def _upgrade(legacy: Legacy, url: str, **environment: str) -> Done:
    given = {f"{legacy.service.upper()}_DATABASE_URL": url} | environment
    return await run_command(legacy.service, "migrate", "upgrade", **given)


CAMPAIGN = Campaign(
    number=12,
    title="An upgrade killed at each statement, then four at once",
    promises=(21,),
    attempt="upgrades killed",
    short=20,
    long=EVERY_STATEMENT + OVER_MANY_ROWS,
    run=run,
    contention=("upgraders that waited",),
    engines=("postgres", "mysql", "mariadb"),
)
