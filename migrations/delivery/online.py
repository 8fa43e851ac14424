"""How a table in use is altered so that nobody waits for it for as long as a second.

An ALTER waits for all who use the table, and all who come later wait behind it. The engines bound that wait in whole
seconds only; here a look from beside ends it after 0.4 s, and it is tried again once the others have passed.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import await_only

log = logging.getLogger("migrations.delivery")

TRIES = 60
PAUSE_SECONDS = 0.5
LOOK_SECONDS = 0.1
PATIENCE_LOOKS = 3

LOCK_WAIT_TIMEOUT = 1205
QUERY_INTERRUPTED = 1317


def alter(bind: sa.Connection, statement: str) -> None:
    """Runs a change of a table whenever it can be had; raises what the last try failed with.

    Inside SQLAlchemy's asyncio only, where `bind` is the synchronous face of an asynchronous connection.
    """
    bind.exec_driver_sql("SET SESSION lock_wait_timeout = 1")
    # The driver takes a single one for the place of a value.
    statement = statement.replace("%", "%%")
    for attempt in range(TRIES):
        try:
            with _watched(bind):
                bind.exec_driver_sql(statement)
            return
        except sa.exc.DBAPIError as error:
            number = getattr(error.orig, "args", (None,))[0]
            if number not in (LOCK_WAIT_TIMEOUT, QUERY_INTERRUPTED) or attempt == TRIES - 1:
                raise
            log.info("the table is in use, trying again")
            await_only(asyncio.sleep(PAUSE_SECONDS))


@contextmanager
def _watched(bind: sa.Connection) -> Iterator[None]:
    number = bind.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one()
    # Both have the view; each warns of the other one's place, or has it not.
    place = "information_schema" if getattr(bind.dialect, "is_mariadb", False) else "performance_schema"
    look = f"SELECT state FROM {place}.processlist WHERE id = {int(number)}"  # noqa: S608
    done = asyncio.Event()
    watch = asyncio.ensure_future(_end_long_wait(bind.engine.url, look, f"KILL QUERY {int(number)}", done))
    try:
        yield
    finally:
        done.set()
        # Heard out and not cancelled: an order to end a statement must not reach a later one.
        if await_only(watch):
            _take_late_order(bind)


def _take_late_order(bind: sa.Connection) -> None:
    try:
        bind.exec_driver_sql("DO 0")
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "args", (None,))[0] != QUERY_INTERRUPTED:
            raise


async def _end_long_wait(url: sa.URL, look: str, kill: str, done: asyncio.Event) -> bool:
    """Whether it had to end the statement, seen waiting for the table again and again."""
    if await _is_done(done):
        return False
    engine = create_async_engine(url, poolclass=sa.pool.NullPool, isolation_level="AUTOCOMMIT")
    waiting = 0
    try:
        async with engine.connect() as connection:
            while not await _is_done(done):
                state = (await connection.exec_driver_sql(look)).scalar()
                waiting = waiting + 1 if state and "metadata lock" in state else 0
                if waiting == PATIENCE_LOOKS:
                    await connection.exec_driver_sql(kill)
                    return True
    finally:
        await engine.dispose()
    return False


async def _is_done(done: asyncio.Event) -> bool:
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await done.wait()
    except TimeoutError:
        return False
    return True
