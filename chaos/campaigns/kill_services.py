"""SIGKILL of both services at random while packages are created, delivered and cancelled."""

import asyncio
import time

from chaos.campaign import Campaign, Trial, together
from chaos.customers import CUSTOMERS, Customers
from tests.support.services import Pair, running_pair
from tests.support.town import Town

PAUSE_SECONDS = (0.3, 1.2)
"""Between two kills; shorter than a relay's lease, so that leases are taken over."""


async def run(trial: Trial) -> None:
    """Customers go on through every kill; afterwards each acknowledged package must be where it was said to be."""
    async with running_pair(trial.engine, trial.folder) as pair:
        town = Town(pair)
        customers = Customers(trial, town)
        await customers.open()
        await together(_kill(trial, pair), *(customers.go_on() for _ in range(CUSTOMERS)))
        await customers.check()
        await town.close()


async def _kill(trial: Trial, pair: Pair) -> None:
    """A recovery is over when the process says SERVING; when callers find it again is up to their channels."""
    while trial.more:
        await asyncio.sleep(trial.random.uniform(*PAUSE_SECONDS))
        victim = trial.random.choice((pair.delivery, pair.inventory))
        killed = time.monotonic()
        await victim.kill()
        await victim.start()
        trial.recoveries.append(time.monotonic() - killed)
        trial.faults[f"SIGKILL of {victim.service}"] += 1
        trial.attempted()


CAMPAIGN = Campaign(
    number=2,
    title="SIGKILL of the services and the relay under load",
    promises=(4, 9, 10, 13, 17),
    attempt="kills",
    short=40,
    long=500,
    run=run,
    contention=("calls repeated", "packages delivered", "packages cancelled"),
    engines=("mysql", "mariadb"),
    slowest_recovery=3.0,
)
