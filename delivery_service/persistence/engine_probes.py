"""What MySQL or MariaDB itself says of how safe and how free the service's data is."""

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.conflicts import access_denied
from servicekit.diagnostics import Diagnosis, Severity, fine

LONG_SECONDS = 10.0
"""How long a transaction may hold locks that nobody waits for."""

_DURABLE = text(
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN"
    " ('innodb_flush_log_at_trx_commit', 'innodb_doublewrite', 'log_bin', 'sync_binlog')"
)
# MariaDB before 11.1 has the older name only.
_SESSION = text(
    "SHOW SESSION VARIABLES WHERE Variable_name IN"
    " ('transaction_isolation', 'tx_isolation', 'time_zone', 'read_only', 'super_read_only')"
)
# The engine writes when a transaction began by the clock of the machine, whatever the session's zone.
_LONG = text("""
    SELECT trx.trx_mysql_thread_id AS session, trx.trx_rows_locked AS locked_rows,
        trx.trx_rows_modified AS changed_rows,
        TIMESTAMPDIFF(SECOND, CONVERT_TZ(trx.trx_started, 'SYSTEM', '+00:00'), UTC_TIMESTAMP()) AS seconds
    FROM information_schema.INNODB_TRX trx
    JOIN information_schema.PROCESSLIST process ON process.ID = trx.trx_mysql_thread_id
    WHERE process.DB = DATABASE() AND process.ID <> CONNECTION_ID() AND trx.trx_state <> 'LOCK WAIT'
        AND trx.trx_rows_locked + trx.trx_rows_modified > 0
    ORDER BY trx.trx_started LIMIT 1
""")
_WAITING = text("""
    SELECT COUNT(*) FROM information_schema.INNODB_TRX trx
    JOIN information_schema.PROCESSLIST process ON process.ID = trx.trx_mysql_thread_id
    WHERE process.DB = DATABASE() AND trx.trx_state = 'LOCK WAIT'
""")


async def durability(connection: AsyncConnection) -> Diagnosis:
    """Whether what was acknowledged outlives the machine's power."""
    found = {row.Variable_name: row.Value for row in await connection.execute(_DURABLE)}
    wrong = {}
    if found["innodb_flush_log_at_trx_commit"] != "1":
        wrong["innodb_flush_log_at_trx_commit"] = "1"
    if found["innodb_doublewrite"] == "OFF":
        wrong["innodb_doublewrite"] = "ON"
    # Without a binary log there is nothing to write through.
    if found["log_bin"] == "ON" and found["sync_binlog"] != "1":
        wrong["sync_binlog"] = "1"
    if not wrong:
        return fine(", ".join(f"{name}={value}" for name, value in sorted(found.items())))
    told = ", ".join(f"{name} is {found[name]} and should be {right}" for name, right in wrong.items())
    statements = "; ".join(f"SET GLOBAL {name} = {right}" for name, right in wrong.items())
    return Diagnosis(
        Severity.FAIL,
        f"{told}: what callers were told is done may be lost with the machine's power",
        f'mysql -e "{statements}", and the same in its configuration',
    )


async def sessions(connection: AsyncConnection) -> Diagnosis:
    """Whether sessions are as the service wants them, and may write."""
    found = {row.Variable_name: row.Value for row in await connection.execute(_SESSION)}
    if "ON" in (found.get("read_only"), found.get("super_read_only")):
        told = "the database takes no writes: read_only is on, as on a replica"
        return Diagnosis(Severity.FAIL, told, "mysql -e \"SHOW VARIABLES LIKE '%read_only'\"")
    isolation = found.get("transaction_isolation", found.get("tx_isolation"))
    told = f"isolation {isolation}, time zone {found['time_zone']}"
    if (isolation, found["time_zone"]) == ("READ-COMMITTED", "+00:00"):
        return fine(told)
    told += (
        "; READ-COMMITTED and +00:00 were asked for: something between here and the database resets sessions"
    )
    return Diagnosis(
        Severity.FAIL, told, 'mysql -e "SHOW VARIABLES" on the way that DELIVERY_DATABASE_URL takes'
    )


async def locks(connection: AsyncConnection) -> Diagnosis:
    """Whether somebody holds locks for long, or keeps others waiting."""
    try:
        row = (await connection.execute(_LONG)).one_or_none()
        waiting = (await connection.execute(_WAITING)).scalar_one()
    except DBAPIError as error:
        if not access_denied(error):
            raise
        told = "not known: the service's account may not see the transactions of others"
        return Diagnosis(Severity.WARN, told, 'mysql -e "GRANT PROCESS ON *.* TO" the account of the service')
    if row is None or not (row.seconds > LONG_SECONDS or (waiting and row.seconds >= 1)):
        return fine("no transaction holds locks for long")
    told = (
        f"the transaction of session {row.session} has held locks for {row.seconds} s ({row.locked_rows} rows locked,"
        f" {row.changed_rows} changed), {waiting} others wait for locks"
    )
    severity = Severity.FAIL if waiting else Severity.WARN
    return Diagnosis(severity, told, f'mysql -e "KILL {row.session}"')
