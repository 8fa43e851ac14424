"""What MySQL or MariaDB itself says of how safe and how free the service's data is."""

from collections import Counter

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.operations.client_commands import run
from servicekit.operations.diagnostics import Diagnosis, Severity, fine
from servicekit.persistence.conflicts import access_denied

LONG_SECONDS = 10.0
"""How long a transaction may hold locks that nobody waits for."""

_DURABLE = text(
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN"
    " ('innodb_flush_log_at_trx_commit', 'innodb_doublewrite', 'log_bin', 'sync_binlog')"
)
_AT_START = "innodb_doublewrite"
"""Of these the one that no engine changes while it runs."""
# MariaDB before 11.1 has the older name only.
_SESSION = text(
    "SHOW SESSION VARIABLES WHERE Variable_name IN"
    " ('transaction_isolation', 'tx_isolation', 'time_zone', 'read_only', 'super_read_only')"
)
# The engine writes when a transaction began by the clock of the machine, whatever the session's zone. Who waits himself
# is not to blame: of those that want one row, each keeps the later ones waiting, and waits for the one that has it.
_HOLDERS = text("""
    SELECT trx.trx_id AS holder, trx.trx_mysql_thread_id AS session, trx.trx_rows_locked AS locked_rows,
        trx.trx_rows_modified AS changed_rows,
        TIMESTAMPDIFF(SECOND, CONVERT_TZ(trx.trx_started, 'SYSTEM', '+00:00'), UTC_TIMESTAMP()) AS seconds
    FROM information_schema.INNODB_TRX trx
    WHERE trx.trx_state <> 'LOCK WAIT' AND trx.trx_rows_locked + trx.trx_rows_modified > 0
    HAVING seconds >= 1
""")
# MySQL answers from the second place while all statements are text; the first one is empty where it is switched off.
_OTHERS_IN_PERFORMANCE_SCHEMA = text("""
    SELECT ID AS session FROM performance_schema.processlist WHERE DB = DATABASE() AND ID <> CONNECTION_ID()
""")
_OTHERS_IN_INFORMATION_SCHEMA = text("""
    SELECT ID AS session FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID()
""")
_SWITCHED_ON = text("SELECT @@performance_schema")
_BLOCKED_OF_MYSQL = text("""
    SELECT BLOCKING_ENGINE_TRANSACTION_ID AS holder, COUNT(DISTINCT REQUESTING_ENGINE_TRANSACTION_ID) AS blocked
    FROM performance_schema.data_lock_waits GROUP BY BLOCKING_ENGINE_TRANSACTION_ID
""")
_BLOCKED_OF_MARIADB = text("""
    SELECT blocking_trx_id AS holder, COUNT(DISTINCT requesting_trx_id) AS blocked
    FROM information_schema.INNODB_LOCK_WAITS GROUP BY blocking_trx_id
""")

_ACCOUNT = text("SELECT CURRENT_USER()")


async def durability(connection: AsyncConnection) -> Diagnosis:
    """Whether what was acknowledged outlives the machine's power."""
    found = {row.Variable_name: row.Value for row in await connection.execute(_DURABLE)}
    wrong = {}
    if found["innodb_flush_log_at_trx_commit"] != "1":
        wrong["innodb_flush_log_at_trx_commit"] = "1"
    if found[_AT_START] == "OFF":
        wrong[_AT_START] = "ON"
    # Without a binary log there is nothing to write through.
    if found["log_bin"] == "ON" and found["sync_binlog"] != "1":
        wrong["sync_binlog"] = "1"
    if not wrong:
        return fine(", ".join(f"{name}={value}" for name, value in sorted(found.items())))
    told = ", ".join(f"{name} is {found[name]} and should be {right}" for name, right in wrong.items())
    told += ", also in its configuration"
    statements = [f"SET GLOBAL {name} = {right}" for name, right in wrong.items() if name != _AT_START]
    if _AT_START in wrong:
        told += f", where {_AT_START} is to be changed before a restart"
        statements.append(f"SHOW GLOBAL VARIABLES LIKE '{_AT_START}'")
    return Diagnosis(
        Severity.FAIL,
        f"{told}: what callers were told is done may be lost with the machine's power",
        run(connection.engine.url, *statements),
    )


async def sessions(connection: AsyncConnection) -> Diagnosis:
    """Whether sessions are as the service wants them, and may write."""
    found = {row.Variable_name: row.Value for row in await connection.execute(_SESSION)}
    if "ON" in (found.get("read_only"), found.get("super_read_only")):
        told = "the database takes no writes: read_only is on, as on a replica"
        return Diagnosis(Severity.FAIL, told, run(connection.engine.url, "SHOW VARIABLES LIKE '%read_only'"))
    isolation = found.get("transaction_isolation", found.get("tx_isolation"))
    told = f"isolation {isolation}, time zone {found['time_zone']}"
    if (isolation, found["time_zone"]) == ("READ-COMMITTED", "+00:00"):
        return fine(told)
    told += (
        "; READ-COMMITTED and +00:00 were asked for: something between here and the database resets sessions"
    )
    return Diagnosis(Severity.FAIL, told, run(connection.engine.url, "SHOW VARIABLES"))


async def locks(connection: AsyncConnection) -> Diagnosis:
    """Whether somebody holds locks for long, or keeps others waiting."""
    mariadb = connection.dialect.is_mariadb  # type: ignore[attr-defined]
    try:
        switched_on = not mariadb and await connection.scalar(_SWITCHED_ON)
        others = set(
            await connection.scalars(
                _OTHERS_IN_PERFORMANCE_SCHEMA if switched_on else _OTHERS_IN_INFORMATION_SCHEMA
            )
        )
        holders = [row for row in await connection.execute(_HOLDERS) if row.session in others]
        found = await connection.execute(_BLOCKED_OF_MARIADB if mariadb else _BLOCKED_OF_MYSQL)
    except DBAPIError as error:
        if not access_denied(error):
            raise
        rights = ["PROCESS ON *.*"]
        if not mariadb:
            rights.append("SELECT ON performance_schema.data_lock_waits")
        user, host = (await connection.execute(_ACCOUNT)).scalar_one().rsplit("@", 1)
        granted = [f"GRANT {right} TO '{user}'@'{host}'" for right in rights]
        told = "not known: the service's account may not see others' transactions, and who waits for them"
        return Diagnosis(Severity.WARN, told, run(connection.engine.url, *granted, user="root"))
    waiting = Counter({row.holder: row.blocked for row in found})
    row = max(holders, key=lambda row: (waiting[row.holder], row.seconds), default=None)
    if row is None or not (waiting[row.holder] or row.seconds > LONG_SECONDS):
        return fine("no transaction holds locks for long")
    told = (
        f"the transaction of session {row.session} has held locks for {row.seconds} s ({row.locked_rows} rows locked,"
        f" {row.changed_rows} changed), {waiting[row.holder]} others wait for it"
    )
    severity = Severity.FAIL if waiting[row.holder] else Severity.WARN
    return Diagnosis(severity, told, run(connection.engine.url, f"KILL {row.session}"))
