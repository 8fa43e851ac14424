"""SIGSTOP of one of two servers of each service, and SIGCONT, while packages are created, delivered and cancelled.

A server that stood still knows nothing of it. It answers callers who have left; as a relay it sends what another one
has sent meanwhile, and comes to record answers under leases that are no longer its own.
"""

import asyncio
import itertools
import signal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import create_async_engine

from chaos.campaign import Campaign, Trial, together
from chaos.customers import CUSTOMERS, Customers
from delivery_service.persistence.tables import outbox
from tests.support.services import ServiceProcess, fresh_pair
from tests.support.town import Town

PAUSE_SECONDS = (0.3, 1.2)
STOPPED_SECONDS = ((0.5, 3.0), (5.0, 6.0), (11.0, 12.0))
"""In turn: soon over; longer than a relay's lease, which has 4 seconds here; longer than callers wait."""


async def run(trial: Trial) -> None:
    """Customers call the servers of each service in turn, whether one stands still or not."""
    async with fresh_pair(trial.engine, trial.folder) as pair:
        inventory = pair.another_inventory()
        servers = (pair.delivery, pair.inventory, pair.another_delivery(inventory.address), inventory)
        await asyncio.gather(*(server.start() for server in servers))
        town = Town(pair, *servers[2:])
        customers = Customers(trial, town)
        await customers.open()
        await together(_stop(trial, servers, customers), *(customers.go_on() for _ in range(CUSTOMERS)))
        await customers.check()
        trial.contention["commands taken again"] = await _taken_again(pair.delivery_url)
        await town.close()


async def _stop(trial: Trial, servers: tuple[ServiceProcess, ...], customers: Customers) -> None:
    # Four and three: each server stands still for each time, and the second of delivery soon for the longest.
    stops = zip(itertools.cycle(servers), itertools.cycle(STOPPED_SECONDS), strict=False)
    while trial.more:
        await asyncio.sleep(trial.random.uniform(*PAUSE_SECONDS))
        victim, seconds = next(stops)
        victim.send(signal.SIGSTOP)
        await asyncio.sleep(trial.random.uniform(*seconds))
        victim.send(signal.SIGCONT)
        trial.recoveries.append(await customers.seconds_until_served())
        trial.faults[f"SIGSTOP of {victim.service}"] += 1
        trial.attempted()


async def _taken_again(url: str) -> int:
    """How many commands a relay took that had been taken before."""
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            again = select(func.count()).select_from(outbox).where(outbox.c.attempts > 1)
            return int((await connection.execute(again)).scalar_one())
    finally:
        await engine.dispose()


CAMPAIGN = Campaign(
    number=21,
    title="SIGSTOP of one of two servers of each service under load",
    promises=(4, 9, 10, 13, 17),
    attempt="halts",
    short=8,
    long=100,
    run=run,
    contention=("calls repeated", "commands taken again", "packages delivered", "packages cancelled"),
    engines=("mysql", "mariadb"),
    slowest_recovery=5.0,
)
