"""How a revision changes a table in use, so that nobody waits for it for as long as a second.

Everything here runs inside an autocommit block: each call is a transaction, or several, of its own.
"""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa
from alembic import op

log = logging.getLogger("migrations.inventory")

BATCH = 1000
TRIES = 60
PAUSE_SECONDS = 0.5

LOCK_NOT_AVAILABLE = "55P03"

# The weaker lock is waited for first: it makes a vacuum give way and holds nobody else up. Whoever waits for the
# stronger one holds up all who come after it, so that wait is short.
_INSTANTLY = """
DO $instantly$
BEGIN
    SET LOCAL lock_timeout = '20s';
    LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE;
    SET LOCAL lock_timeout = '400ms';
    EXECUTE $statement${statement}$statement$;
END
$instantly$
"""


def instantly(statement: str, table: str = "inventory.stock") -> None:
    """Runs a change of `table` that locks others out for the instant it takes, whenever it gets the lock."""
    for attempt in range(TRIES):
        try:
            op.get_bind().exec_driver_sql(_INSTANTLY.format(table=table, statement=statement))
            return
        except sa.exc.DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE or attempt == TRIES - 1:
                raise
            log.info("%s is in use, trying again", table)
            time.sleep(PAUSE_SECONDS)


def patiently(statement: str) -> None:
    """Runs a statement that holds nobody up while it waits for its lock."""
    bind = op.get_bind()
    bind.exec_driver_sql("SET lock_timeout = '60s'")
    try:
        bind.exec_driver_sql(statement)
    finally:
        bind.exec_driver_sql("SET lock_timeout = DEFAULT")


def build_index(create: str, name: str, target: str) -> None:
    """Builds an index CONCURRENTLY; what a build that was cut short left behind goes first."""
    invalid = sa.text(
        "SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid)"
    )
    if op.get_bind().execute(invalid, {"name": f"inventory.{name}"}).scalar():
        patiently(f"DROP INDEX CONCURRENTLY inventory.{name}")
    log.info("building %s", name)
    patiently(f"{create} CONCURRENTLY IF NOT EXISTS {name} ON {target}")


def progress(title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
    """Shows how far long work is, as whoever upgrades has it shown."""
    config: Any = op.get_context().config
    shown: AbstractContextManager[Callable[[int], None]] = config.attributes["progress"](title, total)
    return shown


def in_batches(title: str, condition: str, work: str, **values: Any) -> None:
    """Does `work` on the stocks that meet a condition, a batch a transaction, until none meets it any more.

    `condition` calls the stock `s`; `work` finds the ids of a batch, locked against writers, in `batch`, and answers
    rows. Rows that somebody else has locked are left for the end, so that a batch never waits while it holds others.
    """
    count = sa.text(f"SELECT count(*) FROM inventory.stock s WHERE {condition}")  # noqa: S608
    waiting = "SKIP LOCKED"
    while left := op.get_bind().execute(count, values).scalar():
        with progress(title, left) as advance:
            _pass(condition, work, waiting, values, advance)
        waiting = ""


def _pass(
    condition: str, work: str, waiting: str, values: dict[str, Any], advance: Callable[[int], None]
) -> None:
    statement = sa.text(
        "WITH batch AS MATERIALIZED (SELECT s.id FROM inventory.stock s"  # noqa: S608
        f" WHERE s.id > CAST(:after AS uuid) AND ({condition}) ORDER BY s.id LIMIT :batch"
        f" FOR NO KEY UPDATE {waiting}), worked AS ({work})"
        " SELECT (SELECT count(*) FROM batch) AS rows, (SELECT count(*) FROM worked) AS worked,"
        " id::text FROM batch ORDER BY id DESC LIMIT 1"
    )
    after = "00000000-0000-0000-0000-000000000000"
    while row := op.get_bind().execute(statement, {"after": after, "batch": BATCH, **values}).first():
        after = row.id
        advance(row.rows)
