"""What Postgres itself says of how safe and how free the service's data is."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.operations.client_commands import run
from servicekit.operations.diagnostics import Diagnosis, Severity, fine

LONG_SECONDS = 10.0
"""How long a transaction may hold locks that nobody waits for."""

_SETTINGS = text("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)")
_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
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
    rows = await connection.execute(_SETTINGS, {"names": list(_DURABLE)})
    found = {row.name: row.setting for row in rows}
    off = sorted(name for name, setting in found.items() if setting == "off")
    if not off:
        return fine(", ".join(f"{name}={found[name]}" for name in _DURABLE))
    told = ", ".join(f"{name} is off" for name in off)
    return Diagnosis(
        Severity.FAIL,
        f"{told}: what callers were told is done may be lost with the machine's power",
        run(
            connection.engine.url,
            *(f"ALTER SYSTEM SET {name} = on" for name in off),
            "SELECT pg_reload_conf()",
        ),
    )


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
