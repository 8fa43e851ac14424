"""The database engine of a service: limits on every session, one isolation level, one time zone."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import DateTime, event
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlalchemy.util import await_only, greenlet_spawn

from servicekit.persistence.conflicts import takes_no_writes

CONNECT_SECONDS = 5.0
"""How long a server may take until a session with it has begun."""

log = structlog.get_logger("engines")

# These end a statement well before the 10 s that a call may last: a statement whose caller has gone would otherwise
# go on and keep its row locks. MySQL has no such limit for a statement that writes; there every wait for a lock is
# bounded, and what writes does it by key.
_POSTGRES_SETTINGS = {
    "application_name": "holdfast",
    "timezone": "UTC",
    "lock_timeout": "2000",
    "statement_timeout": "5000",
    "idle_in_transaction_session_timeout": "10000",
    "jit": "off",
}
_POSTGRES_UNTIMED = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}
_MYSQL_FAMILY_SETTINGS = {
    "time_zone": "'+00:00'",
    "innodb_lock_wait_timeout": "3",
    "lock_wait_timeout": "5",
    "wait_timeout": "60",
    "sql_mode": "'STRICT_TRANS_TABLES,ONLY_FULL_GROUP_BY,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION'",
}
_MYSQL_FAMILY_UNTIMED = {"wait_timeout": "86400"}
_MYSQL_SETTINGS = {"max_execution_time": "5000"}
_MARIADB_SETTINGS = {"max_statement_time": "5", "idle_transaction_timeout": "10"}


def create_engine(
    url: str,
    *,
    pool_size: int | None = 10,
    for_migrations: bool = False,
    lock_seconds: float | None = None,
    by_index: bool = False,
    pre_ping: bool = True,
) -> AsyncEngine:
    """An engine whose every session carries the limits; a session that refuses one is an error.

    Without a `pool_size` it keeps no connection, and opens as many at once as are asked for.

    Migrations keep the limits on waiting for locks and have none on a statement's run time. `lock_seconds` is
    another limit on waiting for a lock; only Postgres knows fractions of a second. `by_index` has Postgres keep the
    first plan of a statement, and read a table by an index wherever there is one: a plan made while the table was
    small would go on reading all of it. Without `pre_ping` the first work on a connection that was lost finds it out,
    and must be such that it can be run again.
    """
    options: dict[str, Any] = {
        "pool_pre_ping": pre_ping,
        "isolation_level": "READ COMMITTED",
        # Errors are logged, and parameters hold people's names and addresses.
        "hide_parameters": True,
    }
    if pool_size is None:
        options["poolclass"] = NullPool
    else:
        options |= {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": 5}
    if make_url(url).get_backend_name() == "postgresql":
        settings = _POSTGRES_SETTINGS | (_POSTGRES_UNTIMED if for_migrations else {})
        if lock_seconds is not None:
            settings["lock_timeout"] = str(round(lock_seconds * 1000))
        if by_index:
            settings |= {"enable_seqscan": "off", "plan_cache_mode": "force_generic_plan"}
        options["connect_args"] = {"server_settings": settings}
        engine = create_async_engine(url, **options)
    else:
        engine = create_async_engine(url, **options)
        event.listen(engine.sync_engine, "connect", _limits_of_mysql_session(for_migrations))
    event.listen(engine.sync_engine, "handle_error", _give_up_what_takes_no_writes)
    _connect_in_time(engine)
    return _without_goodbyes(engine)


def _connect_in_time(engine: AsyncEngine) -> None:
    """A driver's own limit may end with the socket: a server that stands still takes it, and says no word more."""
    dialect = engine.sync_engine.dialect
    connect = dialect.connect

    def in_time(*arguments: Any, **settings: Any) -> DBAPIConnection:
        return await_only(asyncio.wait_for(greenlet_spawn(connect, *arguments, **settings), CONNECT_SECONDS))

    dialect.connect = in_time  # type: ignore[method-assign]


def _give_up_what_takes_no_writes(context: ExceptionContext) -> None:
    """After a failover the address leads to another server; sessions of the pool would stay with the old one."""
    error = context.sqlalchemy_exception
    if isinstance(error, DBAPIError) and takes_no_writes(error):
        context.is_disconnect = True


def _without_goodbyes(engine: AsyncEngine) -> AsyncEngine:
    """Lets nobody wait until a server that may be silent has heard that a connection is given up.

    The driver asks it to cancel the statement, so that its locks go, and for two seconds waits that it has.
    """
    dialect = engine.sync_engine.dialect
    terminate = dialect.do_terminate
    ending: set[asyncio.Task[None]] = set()

    def end_aside(connection: DBAPIConnection) -> None:
        try:
            task = asyncio.get_running_loop().create_task(greenlet_spawn(terminate, connection))
        except RuntimeError:  # the garbage collector's, after the loop has ended
            terminate(connection)
            return
        ending.add(task)
        task.add_done_callback(ended)

    def ended(task: asyncio.Task[None]) -> None:
        ending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.info("a connection that was given up did not end well", error=type(error).__name__)

    dialect.do_terminate = end_aside  # type: ignore[assignment, method-assign]
    return engine


def _limits_of_mysql_session(for_migrations: bool) -> Callable[[Any, Any], None]:
    def limit(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("SELECT VERSION()")
        flavour = _MARIADB_SETTINGS if "MariaDB" in cursor.fetchone()[0] else _MYSQL_SETTINGS
        settings = _MYSQL_FAMILY_SETTINGS | (_MYSQL_FAMILY_UNTIMED if for_migrations else flavour)
        cursor.execute("SET " + ", ".join(f"SESSION {name} = {value}" for name, value in settings.items()))
        cursor.close()

    return limit


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware UTC in Python; TIMESTAMPTZ on Postgres, DATETIME(6) in UTC on MySQL and MariaDB."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(DateTime(timezone=True))
        return dialect.type_descriptor(mysql.DATETIME(fsp=6))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)
