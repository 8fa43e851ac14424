"""The database's server ends every connection that is idle, and the next call of each kind must not notice."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import grpc
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from chaos.calls.call import Call
from chaos.calls.every import calls_to
from chaos.campaign import Campaign, Trial
from tests.support.forks import WITHOUT_UVLOOP
from tests.support.services import fresh_pair
from tests.support.town import Town, ids

IDLE = {
    "postgres": "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'"
    " AND pid <> pg_backend_pid()",
    "mysql": "SELECT id FROM performance_schema.processlist WHERE db = DATABASE() AND command = 'Sleep'"
    " AND id <> CONNECTION_ID()",
    "mariadb": "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND command = 'Sleep'"
    " AND id <> CONNECTION_ID()",
}
KILL = {
    "postgres": "SELECT pg_terminate_backend(:session)",
    "mysql": "KILL :session",
    "mariadb": "KILL :session",
}
NO_SUCH_SESSION = 1094
"""MySQL's and MariaDB's: it ended by itself meanwhile."""


LOOPS: Sequence[Mapping[str, str]] = ({}, {WITHOUT_UVLOOP: "yes"})
"""What the services run on, half of the attempts on each: uvloop, and asyncio's own loop."""


async def run(trial: Trial) -> None:
    """Calls and looks at what they left, each after every idle connection was ended; nobody repeats anything."""
    calls = list(calls_to(trial.engine))
    # A short run has not enough attempts for all of them: another seed tries others.
    trial.random.shuffle(calls)
    for turn, loop in enumerate(LOOPS, 1):
        async with (
            fresh_pair("mysql" if trial.engine == "postgres" else trial.engine, trial.folder) as pair,
            _administrator(pair.inventory_url if trial.engine == "postgres" else pair.delivery_url) as engine,
        ):
            for service in (pair.inventory, pair.delivery):
                service.environment.update(loop)
            await pair.start()
            town = Town(pair)
            await town.found()
            while trial.more and trial.attempts < trial.size * turn / len(LOOPS):
                await _surprise(trial, town, engine, calls)
            trial.violations.extend(await town.findings())
            await town.close()


async def _surprise(trial: Trial, town: Town, engine: AsyncEngine, calls: Sequence[Call]) -> None:
    call, name = calls[trial.attempts // 2 % len(calls)], str(next(ids))
    await call.arrange(town, name)
    for what in (call.ask, call.state):
        killed = await _kill_idle(engine, trial.engine)
        trial.faults["idle connections killed"] += killed
        trial.contention["calls that found none"] += killed > 0
        try:
            await what(town, name)
        except grpc.aio.AioRpcError as error:
            told = f"{error.code().name} {error.details()}"
            trial.violations.append(f"{call.method}, {'read' if what is call.state else 'asked'}: {told}")
        trial.attempted()


async def _kill_idle(engine: AsyncEngine, kind: str) -> int:
    """How many sessions it ended."""
    async with engine.connect() as connection:
        killed = 0
        for session in (await connection.execute(text(IDLE[kind]))).scalars().all():
            try:
                await connection.execute(text(KILL[kind]), {"session": session})
            except Exception as error:
                if NO_SUCH_SESSION not in getattr(getattr(error, "orig", None), "args", ()):
                    raise
            else:
                killed += 1
    return killed


@asynccontextmanager
async def _administrator(url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    try:
        yield engine
    finally:
        await engine.dispose()


CAMPAIGN = Campaign(
    number=18,
    title="Idle connections killed at the server, under uvloop and asyncio",
    promises=(),
    attempt="calls after a kill of connections",
    short=60,
    long=300,
    run=run,
    contention=("calls that found none",),
    engines=("postgres", "mysql", "mariadb"),
)
