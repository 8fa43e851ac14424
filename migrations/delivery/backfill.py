"""The first following of every package, a batch a transaction, as fast as others at work allow.

A batch grows or shrinks until it takes 0.1 s: so long may its locks hold somebody up. After each, others have the
engine for as long as the batch took, and for longer while more than eight statements run there at once. What is done
is seen in the rows themselves: killed anywhere, it goes on where it was.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.util import load_python_file
from sqlalchemy.util import await_only

following: Any = load_python_file(Path(__file__).parent, "following.py")

FIRST_BATCH, LEAST_BATCH, MOST_BATCH = 100, 100, 2000
BATCH_SECONDS = 0.1
MOST_RUNNING = 8
LONGEST_REST_SECONDS = 2.0
TRIES = 20
MOST_PASSES = 100

DEADLOCK_OR_WAIT = (1213, 1205, 1020)

Progress = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]
"""Given a title and how much there is to do; gives a function that is told how much more is done."""


def backfill(connection: sa.Connection, progress: Progress) -> None:
    """Follows until it has caught up with those who write meanwhile. Inside an autocommit block.

    What others write from then on is followed by the service.
    """
    left = connection.exec_driver_sql(
        "SELECT COUNT(*) FROM tigu_prepare_goods WHERE legacy_write_time IS NOT NULL"
    ).scalar_one()
    size = float(FIRST_BATCH)
    passed: set[int] = set()
    with progress("orders of packages", left) as advance:
        for _ in range(MOST_PASSES):
            while ids := following.pending(connection, round(size), passed):
                begin = time.monotonic()
                followed = _in_transaction(connection, ids)
                seconds = max(time.monotonic() - begin, 0.001)
                # What others have locked comes in another pass.
                passed |= set(ids) - set(followed)
                advance(len(followed))
                caught_up = len(ids) < round(size)
                size = min(max(size * min(max(BATCH_SECONDS / seconds, 0.5), 2), LEAST_BATCH), MOST_BATCH)
                _rest(connection, seconds)
                if caught_up:
                    break
            if not passed:
                return
            passed.clear()
            _rest(connection, BATCH_SECONDS)


def _in_transaction(connection: sa.Connection, ids: list[int]) -> list[int]:
    for attempt in range(TRIES):
        connection.exec_driver_sql("START TRANSACTION")
        try:
            followed: list[int] = following.follow(connection, ids, wait=False)
            connection.exec_driver_sql("COMMIT")
            return followed
        except sa.exc.DBAPIError as error:
            connection.exec_driver_sql("ROLLBACK")
            number = getattr(error.orig, "args", (None,))[0]
            if number not in DEADLOCK_OR_WAIT or attempt == TRIES - 1:
                raise
            await_only(asyncio.sleep(BATCH_SECONDS))
    return []


def _rest(connection: sa.Connection, seconds: float) -> None:
    until = time.monotonic() + LONGEST_REST_SECONDS
    await_only(asyncio.sleep(min(seconds, LONGEST_REST_SECONDS)))
    while _running(connection) > MOST_RUNNING and time.monotonic() < until:
        await_only(asyncio.sleep(BATCH_SECONDS))


def _running(connection: sa.Connection) -> int:
    """How many statements the engine runs now, this one among them."""
    return int(connection.exec_driver_sql("SHOW GLOBAL STATUS LIKE 'Threads_running'").one()[1])
