"""SIGKILL and SIGSTOP of either service's database server while packages are created, delivered and cancelled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.database import killable_server
from chaos.campaign import Campaign, Trial, together
from chaos.customers import CUSTOMERS, Customers
from devtools.databases import create_database
from devtools.engines.server import Server, ServerFailed
from tests.support.services import Pair, migrate
from tests.support.town import Town

PAUSE_SECONDS = (0.5, 2.0)
STOPPED_SECONDS = 3.0
START_SECONDS = 30.0


async def run(trial: Trial) -> None:
    """The services are never started again; they must serve again by themselves as soon as the server is there."""
    async with _pair(trial) as (pair, servers):
        town = Town(pair)
        customers = Customers(trial, town)
        await customers.open()
        await together(_fail(trial, servers, customers), *(customers.go_on() for _ in range(CUSTOMERS)))
        await customers.check()
        await town.close()


async def _fail(trial: Trial, servers: list[Server], customers: Customers) -> None:
    while trial.more:
        await asyncio.sleep(trial.random.uniform(*PAUSE_SECONDS))
        victim = servers[trial.attempts % len(servers)]
        if trial.attempts // len(servers) % 2:
            victim.halt()
            try:
                await asyncio.sleep(STOPPED_SECONDS)
            finally:
                # A session that stands still would outlast its server.
                victim.resume()
            trial.faults[f"SIGSTOP of {victim.engine.title}"] += 1
        else:
            await asyncio.to_thread(victim.kill)
            await _start_again(victim)
            trial.faults[f"SIGKILL of {victim.engine.title}"] += 1
        trial.recoveries.append(await customers.seconds_until_served())
        trial.attempted()


async def _start_again(server: Server) -> None:
    """As a supervisor does: Postgres does not start while a session of the server that was killed is still there."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                return await asyncio.to_thread(server.start)
            except ServerFailed:
                await asyncio.sleep(0.1)


@asynccontextmanager
async def _pair(trial: Trial) -> AsyncIterator[tuple[Pair, list[Server]]]:
    """A pair over servers of its own, which keep what they acknowledge."""
    with killable_server("postgres") as inventory, killable_server(trial.engine) as delivery:
        urls = inventory.url("inventory"), delivery.url("delivery")
        await asyncio.gather(*map(create_database, urls))
        await asyncio.gather(migrate("inventory", urls[0]), migrate("delivery", urls[1]))
        pair = Pair(*urls, trial.folder)
        try:
            await pair.start()
            yield pair, [inventory, delivery]
        finally:
            await pair.kill()


CAMPAIGN = Campaign(
    number=3,
    title="SIGKILL and SIGSTOP of the database servers under load",
    promises=(4, 9, 10, 13),
    attempt="faults of a server",
    short=8,
    # 50 of each signal to each server.
    long=200,
    run=run,
    contention=("calls repeated", "packages delivered", "packages cancelled"),
    with_servers=False,
    engines=("mysql", "mariadb"),
    slowest_recovery=5.0,
)
