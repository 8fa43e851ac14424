"""The first following of every package, a batch a transaction, as fast as others at work allow.

A batch grows or shrinks until it takes 0.1 s: so long may its locks hold somebody up. After each, others have the
engine for as long as the batch took, and for longer while more than eight statements run there at once. What is done
is seen in the rows themselves: killed anywhere, it goes on where it was.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
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


# By their ids and not by their marks: these move on with every write, and are of the writers' clocks.
_COUNT = "SELECT COUNT(*), MAX(id) FROM tigu_prepare_goods WHERE legacy_write_time IS NOT NULL"
_PAGE = sa.text(
    "SELECT id FROM tigu_prepare_goods FORCE INDEX (PRIMARY)"
    " WHERE legacy_write_time IS NOT NULL AND id > :after AND id <= :last ORDER BY id LIMIT :size"
)


def backfill(connection: sa.Connection, progress: Progress) -> None:
    """Follows each package that was marked when it began. Inside an autocommit block.

    What others write meanwhile is followed by the service: whoever writes as fast as this reads must not keep it.
    """
    left, last = connection.exec_driver_sql(_COUNT).one()
    with progress("orders of packages", left) as advance:
        batches = _Batches(connection, advance, left)
        locked: set[int] = set()
        after = 0
        while ids := _page(connection, after, last, batches.size):
            locked |= batches.follow(ids)
            after = ids[-1]
        for _ in range(MOST_PASSES):
            if not locked:
                return
            _rest(connection, BATCH_SECONDS)
            locked = {id_ for ids in _parts(sorted(locked), batches.size) for id_ in batches.follow(ids)}


@dataclass
class _Batches:
    """Follows batch after batch, each as large as takes 0.1 s, and lets others work in between."""

    connection: sa.Connection
    advance: Callable[[int], None]
    left: int
    size: int = FIRST_BATCH

    def follow(self, ids: list[int]) -> set[int]:
        """Answers those that others have locked."""
        begin = time.monotonic()
        followed = _in_transaction(self.connection, ids)
        seconds = max(time.monotonic() - begin, 0.001)
        # One that was followed before a kill, and written since, was not counted.
        done = min(len(followed), self.left)
        self.left -= done
        self.advance(done)
        grown = self.size * min(max(BATCH_SECONDS / seconds, 0.5), 2)
        self.size = round(min(max(grown, LEAST_BATCH), MOST_BATCH))
        _rest(self.connection, seconds)
        return set(ids) - set(followed)


def _page(connection: sa.Connection, after: int, last: int | None, size: int) -> list[int]:
    return list(connection.execute(_PAGE, {"after": after, "last": last, "size": size}).scalars())


def _parts(ids: list[int], size: int) -> Iterator[list[int]]:
    return (ids[begin : begin + size] for begin in range(0, len(ids), size))


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
