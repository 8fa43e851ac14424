"""A pair of services that say what they have in hand: calls, tasks, connections, descriptors, memory."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.support.scrapes import scrape
from tests.support.services import Pair, ServiceProcess, free_port, fresh_pair

_REST = (
    "holdfast_calls_open",
    "holdfast_tasks",
    "holdfast_pool_connections_in_use",
    "holdfast_pool_waiting",
)
"""What is 0 while nobody asks for anything."""
_REST_OF = {"inventory": (*_REST, "holdfast_group_commit_queue_length"), "delivery": _REST}
_OLD = {
    "postgres": """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
            AND clock_timestamp() - xact_start > interval '2 seconds'
    """,
    "mysql": """
        SELECT COUNT(*) FROM information_schema.INNODB_TRX trx
        JOIN performance_schema.processlist process ON process.ID = trx.trx_mysql_thread_id
        WHERE process.DB = DATABASE() AND process.ID <> CONNECTION_ID()
            AND TIMESTAMPDIFF(SECOND, CONVERT_TZ(trx.trx_started, 'SYSTEM', '+00:00'), UTC_TIMESTAMP()) >= 2
    """,
    "mariadb": """
        SELECT COUNT(*) FROM information_schema.INNODB_TRX trx
        JOIN information_schema.PROCESSLIST process ON process.ID = trx.trx_mysql_thread_id
        WHERE process.DB = DATABASE() AND process.ID <> CONNECTION_ID()
            AND TIMESTAMPDIFF(SECOND, CONVERT_TZ(trx.trx_started, 'SYSTEM', '+00:00'), UTC_TIMESTAMP()) >= 2
    """,
}
"""Transactions that are too old to be one of the workers' looks."""
_LOCKED = {
    "postgres": "SELECT FROM inventory.stock FOR UPDATE NOWAIT",
    "mysql": "SELECT id FROM tigu_prepare_goods FOR UPDATE NOWAIT",
    "mariadb": "SELECT id FROM tigu_prepare_goods FOR UPDATE NOWAIT",
}
_SESSIONS = {
    "postgres": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()",
    "mysql": "SELECT COUNT(*) FROM performance_schema.processlist WHERE DB = DATABASE()",
    # MySQL has this place too, and answers from it only while all statements are text: what is stored often is none.
    "mariadb": "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = DATABASE()",
}


@dataclass(frozen=True)
class Look:
    """What a process had in hand at one moment."""

    at: float
    """By the monotonic clock."""
    megabytes: float
    descriptors: int
    tasks: int
    sessions: int
    """Of its database."""


class Observed:
    """One service process, seen from outside."""

    def __init__(self, process: ServiceProcess, url: str, kind: str) -> None:
        """Before the process is started; `kind` is that of its database's engine."""
        self.process = process
        self._listen = f"127.0.0.1:{free_port()}"
        process.environment[f"{process.service.upper()}_METRICS_LISTEN"] = self._listen
        self._engine: AsyncEngine = create_async_engine(url, pool_size=1)
        self._kind = kind

    async def look(self) -> Look:
        """What it has in hand now."""
        found = await scrape(self._listen)
        return Look(
            time.monotonic(),
            found["process_resident_memory_bytes"] / 2**20,
            int(found["process_open_fds"]),
            int(found["holdfast_event_loop_tasks"]),
            await self._count(_SESSIONS),
        )

    async def at_work(self) -> list[str]:
        """What is not at rest: there should be nothing while nobody asks for anything."""
        found = await scrape(self._listen)
        # A name that is not there is no rest: it raises.
        busy = [f"{found[name]:.0f} × {name}" for name in _REST_OF[self.process.service] if found[name]]
        if old := await self._count(_OLD):
            busy.append(f"{old} old transactions")
        if await self._locked():
            busy.append("rows are locked")
        return [f"{self.process.service}: {each}" for each in busy]

    async def close(self) -> None:
        """Ends its own connection."""
        await self._engine.dispose()

    async def _count(self, statements: dict[str, str]) -> int:
        async with self._engine.connect() as connection:
            return int((await connection.execute(text(statements[self._kind]))).scalar_one())

    async def _locked(self) -> bool:
        try:
            async with self._engine.connect() as connection:
                await connection.execute(text(_LOCKED[self._kind]))
        except DBAPIError:
            return True
        return False


async def seconds_to_rest(observed: Sequence[Observed], most: float) -> tuple[float, list[str]]:
    """How long it takes until nothing is in hand any more; and what still is after `most` seconds."""
    began = time.monotonic()
    while True:
        busy = [each for process in observed for each in await process.at_work()]
        seconds = time.monotonic() - began
        if not busy or seconds > most:
            return seconds, busy
        await asyncio.sleep(0.1)


@asynccontextmanager
async def observed_pair(engine: str, folder: Path) -> AsyncIterator[tuple[Pair, list[Observed]]]:
    """Both services over fresh, migrated databases, serving; and a look at each."""
    async with fresh_pair(engine, folder) as pair:
        observed = [
            Observed(pair.inventory, pair.inventory_url, "postgres"),
            Observed(pair.delivery, pair.delivery_url, engine),
        ]
        try:
            await pair.start()
            yield pair, observed
        finally:
            await pair.kill()
            for each in observed:
                await each.close()
