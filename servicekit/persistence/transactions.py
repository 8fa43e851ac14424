"""The one place that commits: a transaction is a function given to a runner that may run it again."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from copy import copy
from datetime import UTC, datetime
from typing import Generic, Self, TypeVar

import structlog
from sqlalchemy import Executable, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from servicekit import traces
from servicekit.crash_points import crash_point
from servicekit.errors import DatabaseUnavailable, DeadlineExceeded
from servicekit.persistence.conflicts import code, lock_wait_ended, refusal
from servicekit.places import Places
from servicekit.tasks import being_cancelled

_REPEATABLE_READ = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
_NOW, _UTC_NOW = select(func.now()), select(func.utc_timestamp(6))

TRIES = 5
KEPT_FOR_READS = 2
MOST_SECONDS = 10.0
"""How long a transaction may take: as long as a call. The engines end a statement well before; what takes longer has
lost its way to the database without a word, and would keep its place until TCP notices."""
CLOSING_SECONDS = 3.0

T = TypeVar("T")
U_co = TypeVar("U_co", covariant=True)
"""A unit of work; work that wants less of it can be run by transactions that give more."""
log = structlog.get_logger("transactions")


class Transactions(Generic[U_co]):
    """Runs work in transactions on one engine, each over a fresh unit of work."""

    def __init__(
        self,
        engine: AsyncEngine,
        unit_of_work: Callable[[AsyncConnection, datetime], U_co],
        *,
        at_once: int = 10,
        before_snapshot: Executable | None = None,
        time: Callable[[AsyncConnection], Awaitable[datetime]] | None = None,
        most_seconds: float | None = MOST_SECONDS,
    ) -> None:
        """`at_once` is how many connections may be in use, of which work leaves KEPT_FOR_READS to readers.

        `before_snapshot` is executed before a snapshot is taken: a lock on what must not change its shape. `time`
        says what time it is in a transaction: the database's, unless told otherwise. A transaction may take
        `most_seconds`, where there are any; one that reads a snapshot may take them until it has its snapshot.
        """
        self._engine = engine
        self._unit_of_work = unit_of_work
        self._before_snapshot = before_snapshot
        self._time = time or database_time
        self._most_seconds = most_seconds
        # The engine's own pool starves some of its waiters under load.
        self._all = Places(at_once)
        # Work that waits for others' locks leaves connections, and room to wait, to those who only read.
        self._work = Places(max(1, at_once - KEPT_FOR_READS))
        self._patient = False
        self.reruns: Counter[str | int | None] = Counter()
        """How often work was run again, by the engine's error code."""

    def patient(self) -> Self:
        """The same connections for work that nobody waits for: it queues for them however long that takes."""
        patient = copy(self)
        patient._patient = True
        return patient

    def has_room(self, others: int) -> bool:
        """Whether more work would have a connection in time, behind all that waits and so much that will come."""
        return self._work.has_room(others)

    @property
    def waiting(self) -> int:
        """How much work waits for a connection."""
        return self._all.length + self._work.length

    @property
    def waited_seconds(self) -> float:
        """How long the first of it has waited; 0 if none does."""
        return max(self._all.waited_seconds, self._work.waited_seconds)

    async def run(
        self,
        work: Callable[[U_co], Awaitable[T]],
        *,
        name: str = "",
        repeatable: bool = False,
        tries: int = TRIES,
    ) -> T:
        """Runs `work` and commits; runs it again, whole, when the engine says that other work was in the way, `tries`
        times in all.

        A connection lost while committing leaves the outcome unknown: the work is run again only if it is
        `repeatable`, that is, if it recognises its own earlier effect. One that falls silent leaves it unknown too;
        then nothing is run again, since nobody waits any more. `name` names the crash points around the commit.
        Raises ConcurrentUpdate, DatabaseUnavailable, DeadlineExceeded, Overloaded; whatever `work` itself raises
        rolls back and goes through.
        """
        lock_waits = 0
        for attempt in range(tries):
            if attempt:
                await asyncio.sleep(random.uniform(0, 0.005 * 2**attempt))
            committing = False
            # Whoever was let in once is not turned away: what ended the first try may have had an effect.
            patient = self._patient or attempt > 0
            try:
                async with self._work.place(patient=patient), self._connected() as (connection, now):
                    result = await work(self._unit_of_work(connection, now))
                    crash_point(f"{name}.before_commit")
                    committing = True
                    with traces.span("COMMIT"):
                        await connection.commit()
                crash_point(f"{name}.after_commit")
            except TimeoutError as error:
                raise DatabaseUnavailable from error
            except DBAPIError as error:
                refused = refusal(error)
                if refused is None:
                    raise
                lost = isinstance(refused, DatabaseUnavailable)
                if isinstance(refused, DeadlineExceeded) or (lost and committing and not repeatable):
                    raise refused from error
                lock_waits += lock_wait_ended(error)
                if lock_waits > 1 or attempt == tries - 1:
                    # Each wait took seconds; a third would outlast the call and leave its outcome in doubt.
                    raise refused from error
                self.reruns[code(error)] += 1
                log.info("transaction runs again", code=code(error), attempt=attempt + 1)
            else:
                return result
        raise AssertionError("the last try raises")

    async def read(self, work: Callable[[U_co], Awaitable[T]], *, one_snapshot: bool = False) -> T:
        """Runs `work` in a transaction that is never committed.

        With `one_snapshot` all its statements see the data as of one instant, else each as of its own. It is
        run once only. Raises ConcurrentUpdate, DatabaseUnavailable, DeadlineExceeded, Overloaded.
        """
        try:
            async with self._connected(self._patient, one_snapshot) as (connection, now):
                return await work(self._unit_of_work(connection, now))
        except TimeoutError as error:
            raise DatabaseUnavailable from error
        except DBAPIError as error:
            if (refused := refusal(error)) is not None:
                raise refused from error
            raise

    @asynccontextmanager
    async def _connected(
        self, patient: bool = True, one_snapshot: bool = False
    ) -> AsyncIterator[tuple[AsyncConnection, datetime]]:
        async with self._all.place(patient=patient), asyncio.timeout(self._most_seconds) as limit:
            connection = await self._connect()
            traces.follow(connection)
            try:
                if one_snapshot:
                    await _see_one_snapshot(connection)
                    if self._before_snapshot is not None:
                        await connection.execute(self._before_snapshot)
                now = await self._time(connection)
                if one_snapshot:
                    limit.reschedule(None)
                yield connection, now
            except asyncio.CancelledError as error:
                if being_cancelled():
                    raise
                # Of a driver's own making. Whoever works for many would end without a word to any of them.
                raise DatabaseUnavailable from error
            finally:
                # Shielded: a connection whose closing is cut short would be lost to the pool with its locks.
                await asyncio.shield(_close(connection))

    async def _connect(self) -> AsyncConnection:
        try:
            return await self._engine.connect()
        except (OSError, PoolTimeout, DBAPIError) as error:
            log.warning("database cannot be reached", error=type(error).__name__)
            raise DatabaseUnavailable from error


async def _see_one_snapshot(connection: AsyncConnection) -> None:
    if connection.dialect.name == "postgresql":
        await connection.execution_options(isolation_level="REPEATABLE READ")
    else:
        # Of this transaction alone. Set by SQLAlchemy it would have to be set back, and where the connection is lost
        # just then, its place in the pool is lost with it.
        await connection.execute(_REPEATABLE_READ)


async def _close(connection: AsyncConnection) -> None:
    """Gives it back, or gives it up where the engine does not even answer to that."""
    try:
        async with asyncio.timeout(CLOSING_SECONDS):
            await connection.close()
    except TimeoutError:
        log.warning("connection given up: the database is silent")


async def own_time(_connection: AsyncConnection) -> datetime:
    """This process's clock: for work that asks the database itself where it matters, and need not do it twice."""
    return datetime.now(UTC)


async def database_time(connection: AsyncConnection) -> datetime:
    """The time of the transaction by the database's clock."""
    # Also the first statement: until SQLAlchemy has executed one, its connection has no transaction.
    if connection.dialect.name == "postgresql":
        now: datetime = (await connection.execute(_NOW)).scalar_one()
        return now
    naive: datetime = (await connection.execute(_UTC_NOW)).scalar_one()
    return naive.replace(tzinfo=UTC)
