"""The probes that every service has: its database, the clocks, the schema, the pool of connections."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from servicekit.operations.client_commands import ask, run
from servicekit.operations.diagnostics import Diagnosis, Figure, Probe, Severity, fine, over
from servicekit.persistence.conflicts import turned_away
from servicekit.persistence.transactions import Transactions, database_time
from servicekit.schema.migrations import Schema

SLOW_SECONDS = 0.5
SKEW_SECONDS = 2.0
MOST_SKEW_SECONDS = 60.0
STUCK_SECONDS = 1.0
"""How long the first piece of work may wait for a connection: those that come and go are had much sooner."""

_OF_MYSQL = "SHOW FULL PROCESSLIST"
_SESSIONS = {
    "postgresql": "SELECT pid, state, wait_event_type, clock_timestamp() - xact_start AS age, query"
    " FROM pg_stat_activity WHERE datname = current_database() ORDER BY xact_start",
    "mysql": _OF_MYSQL,
    "mariadb": _OF_MYSQL,
}
"""What the connections of a pool are doing."""

_ANSWER = Figure(
    "holdfast_database_answer_seconds", "How long the database took to be connected to and to answer."
)
_AHEAD = Figure(
    "holdfast_clock_skew_seconds",
    "How far the database's clock is ahead of this process's; negative: behind.",
)
_REVISION = Figure("holdfast_schema_revision", "The revision that the schema is at, 0 where it has none.")
_EXPECTED = Figure(
    "holdfast_schema_revision_expected", "The revision of the schema that this build was written for."
)


def common_probes(
    engine: AsyncEngine,
    watching: AsyncEngine,
    schema: Schema,
    transactions: Transactions[Any],
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Mapping[str, Probe]:
    """`watching` is a way to the database beside the service's own `engine`, whose pool may be used up."""

    async def clocks(connection: AsyncConnection) -> Diagnosis:
        before = clock()
        theirs = await database_time(connection)
        return _skew((theirs - before - (clock() - before) / 2).total_seconds())

    async def pool() -> Diagnosis:
        return _pool(schema.service, engine, transactions)

    asking = ask(watching.url)
    return {
        "database": Probe(lambda: _database(watching), asking),
        "clock": over(watching, clocks),
        "schema": Probe(lambda: _schema(watching, schema), asking),
        "pool": Probe(pool, asking),
    }


async def _database(engine: AsyncEngine) -> Diagnosis:
    began = time.monotonic()
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except Exception as error:
        if why := turned_away(error):
            # Whoever only asks for the server is told that it is well.
            return Diagnosis(
                Severity.FAIL, f"the database begins no session: {why}", run(engine.url, "SELECT 1")
            )
        what = f"the database cannot be reached ({type(error).__name__})"
        return Diagnosis(Severity.FAIL, what, ask(engine.url))
    seconds = time.monotonic() - began
    told = f"connected and answered in {seconds * 1000:.0f} ms"
    figures = {_ANSWER: seconds}
    if seconds < SLOW_SECONDS:
        return fine(told, figures)
    return Diagnosis(Severity.WARN, f"{told}; usual are a few", ask(engine.url), figures)


def _skew(seconds: float) -> Diagnosis:
    told = f"the database's clock is {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this process's"
    figures = {_AHEAD: seconds}
    if abs(seconds) < SKEW_SECONDS:
        return fine(told, figures)
    severity = Severity.WARN if abs(seconds) < MOST_SKEW_SECONDS else Severity.FAIL
    why = "holds end by the database's clock, deadlines and logs go by this one's: look on both machines"
    return Diagnosis(severity, f"{told}; {why}", "timedatectl timesync-status || chronyc tracking", figures)


async def _schema(engine: AsyncEngine, schema: Schema) -> Diagnosis:
    hindered = await schema.hindrance(engine)
    if hindered:
        return Diagnosis(Severity.FAIL, hindered, f"{schema.service}-service migrate status")
    serving = await schema.serving(engine)
    figures = {_REVISION: int(serving.applied or 0), _EXPECTED: int(serving.expected)}
    if serving.level:
        return fine(serving.told, figures)
    told = serving.told if serving.allowed else f"{serving.told}: calls are refused"
    if serving.newer:
        told += f"; {serving.remedy}"
    severity = Severity.WARN if serving.allowed else Severity.FAIL
    return Diagnosis(severity, told, serving.next_command, figures)


def _pool(service: str, engine: AsyncEngine, transactions: Transactions[Any]) -> Diagnosis:
    pool: Any = engine.pool
    in_use, size, waiting = pool.checkedout(), pool.size(), transactions.waiting
    told = f"{in_use} of {size} connections are in use, {waiting} pieces of work wait for one"
    if not waiting and in_use < size:
        return fine(told)
    # Not all need be in use: of the connections, work leaves some to readers.
    seconds = transactions.waited_seconds
    if waiting:
        told += f", the first for {seconds:.1f} s"
    told += f"; where locks do not keep them, {service.upper()}_POOL_SIZE is too small"
    severity = Severity.FAIL if seconds > STUCK_SECONDS else Severity.WARN
    return Diagnosis(severity, told, run(engine.url, _SESSIONS[engine.dialect.name]))
