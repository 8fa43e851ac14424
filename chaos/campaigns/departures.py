"""Storms of callers who cancel, or whose deadline passes, while rows are locked; nothing of theirs stays in hand."""

import asyncio
from contextlib import suppress

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from chaos.campaign import Campaign, Trial, call_off, together
from chaos.observed import Observed, observed_pair, seconds_to_rest
from chaos.visitors import Visitors
from tests.support.services import Pair
from tests.support.town import Town

CALLERS = 32
LEAVING = 0.6
CALM_SECONDS, LOCKED_SECONDS = 1.0, 0.3
MOST_SECONDS = 15.0
"""How long it is looked whether something stays in hand."""
MORE_DESCRIPTORS = 20
"""Connections that pools may open after the first storm."""
_STOCKS = "SELECT FROM inventory.stock FOR UPDATE"
_PACKAGES = "SELECT id FROM tigu_prepare_goods ORDER BY id DESC LIMIT 5 FOR UPDATE"


async def run(trial: Trial) -> None:
    """A storm and a longer one: after each nothing is in hand, and the second one costs no more descriptors."""
    async with observed_pair(trial.engine, trial.folder) as (pair, observed):
        town = Town(pair)
        visitors = Visitors(trial, town, leaving=LEAVING, asked=trial.attempted)
        await visitors.open()
        first = await _storm(trial, pair, observed, visitors, trial.size // 4)
        last = await _storm(trial, pair, observed, visitors, trial.size)
        for before, after, each in zip(first, last, observed, strict=True):
            trial.require(
                after <= before + MORE_DESCRIPTORS,
                f"{each.process.service}: {before} descriptors after the first storm, {after} after the last",
            )
        await visitors.check()
        await town.close()
        for process in (pair.delivery, pair.inventory):
            code = await process.terminate()
            trial.require(code == 0, f"{process.service}: told to end, it answered {code}")
            quiet = "never retrieved" not in process.log.read_text()
            trial.require(quiet, f"{process.log.name}: never retrieved")


async def _storm(
    trial: Trial, pair: Pair, observed: list[Observed], visitors: Visitors, until: int
) -> list[int]:
    """Until so many calls were made; answers the descriptors in hand afterwards."""
    locking = [
        asyncio.create_task(_lock_now_and_then(trial, url, statement))
        for url, statement in ((pair.inventory_url, _STOCKS), (pair.delivery_url, _PACKAGES))
    ]

    async def come() -> None:
        while trial.more and trial.attempts < until:
            await visitors.visit()

    await together(*(come() for _ in range(CALLERS)))
    await call_off(*locking)
    seconds, busy = await seconds_to_rest(observed, MOST_SECONDS)
    trial.recoveries.append(seconds)
    trial.violations.extend(busy)
    return [(await each.look()).descriptors for each in observed]


async def _lock_now_and_then(trial: Trial, url: str, statement: str) -> None:
    """As somebody does who has rows in hand for longer than callers like to wait."""
    engine = create_async_engine(url, isolation_level="READ COMMITTED")
    try:
        while True:
            await asyncio.sleep(CALM_SECONDS)
            # In a deadlock with a service it may be this one that the engine ends.
            with suppress(DBAPIError):
                async with engine.begin() as connection:
                    await connection.execute(text(statement))
                    trial.faults["rows locked by others"] += 1
                    await asyncio.sleep(LOCKED_SECONDS)
    finally:
        await engine.dispose()


CAMPAIGN = Campaign(
    number=5,
    title="Callers that leave, in storms",
    promises=(4, 5, 9),
    attempt="calls",
    short=4_000,
    long=20_000,
    run=run,
    contention=("calls repeated", "effects of calls whose caller had left"),
    engines=("mysql", "mariadb"),
    slowest_recovery=5.0,
)
