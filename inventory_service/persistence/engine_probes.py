"""What Postgres itself says of how safe and how free the service's data is."""

from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.operations.client_commands import run
from servicekit.operations.diagnostics import Diagnosis, Severity, fine

LONG_SECONDS = 10.0
"""How long a transaction may hold locks that nobody waits for."""

_SETTINGS = text("""
    SELECT name, setting, source, quote_ident(current_database()) AS database, quote_ident(current_user) AS account
    FROM pg_settings WHERE name = ANY(:names) ORDER BY name
""")
_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
_OPEN_SESSIONS = ", which open sessions keep until their server is restarted"
_OFF_BY = {
    "command line": " by the command line that the database was started with",
    "database": f" by ALTER DATABASE{_OPEN_SESSIONS}",
    "user": f" by ALTER ROLE{_OPEN_SESSIONS}",
    "database user": f" by ALTER ROLE{_OPEN_SESSIONS}",
}
"""Where a setting may come from that is stronger than ALTER SYSTEM."""
_SESSION = text("""
    SELECT current_setting('transaction_isolation') AS isolation, current_setting('TimeZone') AS zone,
        current_setting('transaction_read_only') = 'on' AS read_only
""")
# Every transaction locks its own id; what others wait for are locks of tables and rows. Who waits himself is not to
# blame: of those that want one row, the first keeps the rest waiting, and waits for the one that has it. Of the
# sessions of other accounts an account may see no more, without a further right, than their locks.
_LONG = text("""
    WITH RECURSIVE waits AS MATERIALIZED (
        SELECT DISTINCT pid, unnest(pg_blocking_pids(pid)) AS holder FROM pg_locks WHERE NOT granted
    ), behind AS (
        SELECT holder, pid FROM waits WHERE holder NOT IN (SELECT pid FROM waits)
        UNION
        SELECT behind.holder, waits.pid FROM behind JOIN waits ON waits.holder = behind.pid
    ), kept AS (
        SELECT holder, count(*) AS blocked FROM behind GROUP BY holder
    )
    SELECT pid, usename, application_name, state, coalesce(blocked, 0) AS blocked, quote_ident(current_user) AS account,
        extract(epoch FROM clock_timestamp() - xact_start)::float AS seconds
    FROM pg_stat_activity activity LEFT JOIN kept ON kept.holder = activity.pid
    WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND coalesce(backend_type, 'client backend') = 'client backend'
        AND (xact_start < clock_timestamp() - interval '1 second' OR xact_start IS NULL AND blocked > 0)
        AND pid NOT IN (SELECT pid FROM waits)
        AND EXISTS (
            SELECT FROM pg_locks WHERE pg_locks.pid = activity.pid AND granted AND locktype = 'relation'
                AND mode <> 'AccessShareLock'
        )
    ORDER BY kept.blocked DESC NULLS LAST, xact_start LIMIT 1
""")


async def durability(connection: AsyncConnection) -> Diagnosis:
    """Whether what was acknowledged outlives the machine's power."""
    rows = (await connection.execute(_SETTINGS, {"names": list(_DURABLE)})).all()
    off = [row for row in rows if row.setting == "off"]
    if not off:
        return fine(", ".join(f"{row.name}={row.setting}" for row in rows))
    told = ", ".join(f"{row.name} is off{_OFF_BY.get(row.source, '')}" for row in off)
    return Diagnosis(
        Severity.FAIL,
        f"{told}: what callers were told is done may be lost with the machine's power",
        run(connection.engine.url, *dict.fromkeys(map(_mending, off)), "SELECT pg_reload_conf()"),
    )


def _mending(off: Row[Any]) -> str:
    """What turns a setting on where it was turned off: ALTER SYSTEM is stronger than a file, and than nothing else."""
    match off.source:
        case "database":
            return f"ALTER DATABASE {off.database} RESET {off.name}"
        case "user":
            return f"ALTER ROLE {off.account} RESET {off.name}"
        case "database user":
            return f"ALTER ROLE {off.account} IN DATABASE {off.database} RESET {off.name}"
        case "command line":
            return "SELECT pg_read_file('postmaster.opts')"
        case _:
            return f"ALTER SYSTEM SET {off.name} = on"


async def sessions(connection: AsyncConnection) -> Diagnosis:
    """Whether sessions are as the service wants them, and may write."""
    row = (await connection.execute(_SESSION)).one()
    if row.read_only:
        told = "the database takes no writes: it is a standby, or default_transaction_read_only is on"
        return Diagnosis(
            Severity.FAIL,
            told,
            run(connection.engine.url, "SELECT pg_is_in_recovery()", "SHOW default_transaction_read_only"),
        )
    told = f"isolation {row.isolation}, time zone {row.zone}"
    if (row.isolation, row.zone) == ("read committed", "UTC"):
        return fine(told)
    told += "; read committed and UTC were asked for: something between here and the database resets sessions"
    return Diagnosis(Severity.FAIL, told, run(connection.engine.url, "SHOW ALL"))


async def locks(connection: AsyncConnection) -> Diagnosis:
    """Whether somebody holds locks for long, or keeps others waiting."""
    row = (await connection.execute(_LONG)).one_or_none()
    if row is not None and row.seconds is None:
        told = (
            f"{row.blocked} others wait for session {row.pid} of {row.usename}: since when, the service's account may"
            " not see"
        )
        granted = f"GRANT pg_read_all_stats TO {row.account}"
        return Diagnosis(Severity.WARN, told, run(connection.engine.url, granted, user="postgres"))
    if row is None or not (row.blocked or row.seconds > LONG_SECONDS):
        return fine("no transaction holds locks for long")
    told = (
        f"the transaction of session {row.pid} ({row.application_name or 'unnamed'}, {row.state}) has held locks for"
        f" {row.seconds:.0f} s, {row.blocked} others wait for it"
    )
    severity = Severity.FAIL if row.blocked else Severity.WARN
    return Diagnosis(severity, told, run(connection.engine.url, f"SELECT pg_terminate_backend({row.pid})"))
