"""The way back to a backup: the schema `inventory` as it was, all of it or nothing."""

from pathlib import Path

from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.adoption.dependents import outside
from inventory_service.adoption.journal import JOURNAL
from inventory_service.adoption.programs import Programs, connection_options, environment
from servicekit.adoption.backup import BackupFailed
from servicekit.adoption.running import Running, running
from servicekit.schema.migrations import VERSION_TABLE
from servicekit.schema.schema_history import HISTORY_TABLE

# Keys of other schemas that point here go before the schema, and come back after it.
_KEYS_FROM_OUTSIDE = text("""
SELECT format('%I.%I', n.nspname, there.relname) AS table, conname AS name, pg_get_constraintdef(con.oid) AS definition
FROM pg_constraint con JOIN pg_class here ON here.oid = con.confrelid JOIN pg_class there ON there.oid = con.conrelid
JOIN pg_namespace n ON n.oid = there.relnamespace
WHERE contype = 'f' AND here.relnamespace = to_regnamespace('inventory')
AND there.relnamespace <> here.relnamespace AND con.conparentid = 0
""")
_FACTS = text(
    "SELECT quote_ident(relname) FROM pg_class WHERE relnamespace = to_regnamespace('analytics')"
    " AND relkind IN ('r', 'p') AND relname <> ALL (COALESCE((SELECT analytics FROM inventory.adoption), '{}'))"
)
_OTHER_SESSIONS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = current_setting('application_name') AND pid <> pg_backend_pid()"
)


async def stop_if_in_use(connection: AsyncConnection) -> None:
    """Raises BackupFailed while a service or another command of it is connected; it has to be the first to look."""
    sessions = (await connection.execute(_OTHER_SESSIONS)).scalar_one()
    await connection.rollback()
    if sessions:
        raise BackupFailed(
            f"nothing was put back: inventory-service has {sessions} sessions in this database, and what it"
            " acknowledges meanwhile would be lost; stop the servers and its other commands first"
        )


async def put_back(connection: AsyncConnection, programs: Programs, url: URL, file: Path) -> None:
    """Replaces the schema `inventory` by the backup, in one transaction. Raises BackupFailed; then nothing changed."""
    if built_upon := await outside(connection):
        raise BackupFailed(
            "nothing was put back: the schema inventory goes, and these of other schemas are built upon it; drop them"
            f" first, and make them again after: {', '.join(built_upon)}"
        )
    before, after = await _around(connection)
    await connection.rollback()
    psql = programs.pg_dump.with_name("psql")
    options = [
        "--no-psqlrc",
        "--quiet",
        "--single-transaction",
        "--set=ON_ERROR_STOP=1",
        "--output=/dev/null",
    ]
    command = [str(psql), *connection_options(url), *options, "--file=-"]
    # Where this ends before the end of its input, psql is killed, and commits nothing.
    async with running(command, environment(psql, url), fed=True) as writing:
        await _feed(writing, programs, file, before, after)
        if complaint := await writing.complaint():
            raise BackupFailed(f"nothing was put back: {complaint}")


async def _feed(into: Running, programs: Programs, file: Path, before: str, after: str) -> None:
    """Ends where it listens no more, which it gives the reason for itself."""
    pg_restore = programs.pg_dump.with_name("pg_restore")
    command = [str(pg_restore), "--file=-", str(file)]
    async with running(command, environment(pg_restore, None)) as reading:
        listens = await into.feed(before.encode())
        while listens and (chunk := await reading.output.read(1 << 20)):
            listens = await into.feed(chunk)
        if not listens:
            return
        if complaint := await reading.complaint():
            raise BackupFailed(f"nothing was put back: {file} cannot be read to its end: {complaint}")
    await into.feed(after.encode())


async def _around(connection: AsyncConnection) -> tuple[str, str]:
    keys = (await connection.execute(_KEYS_FROM_OUTSIDE)).all()
    facts: list[str] = []
    if (await connection.execute(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": JOURNAL})).scalar():
        facts = list((await connection.execute(_FACTS)).scalars())
    dropped = [f"ALTER TABLE {key.table} DROP CONSTRAINT {_quoted(key.name)};" for key in keys]
    dropped += [f"DROP TABLE analytics.{table};" for table in facts]
    dropped += [f"DROP TABLE IF EXISTS {table};" for table in (VERSION_TABLE, HISTORY_TABLE)]
    again = [f"ALTER TABLE {key.table} ADD CONSTRAINT {_quoted(key.name)} {key.definition};" for key in keys]
    if facts:
        dropped.append(
            "DO $$ BEGIN DROP SCHEMA analytics; EXCEPTION WHEN dependent_objects_still_exist THEN END $$;"
        )
    first = "SET client_min_messages = warning; SET lock_timeout = '10s';"
    drop = "DROP SCHEMA IF EXISTS inventory CASCADE;"
    return "\n".join([first, *dropped, drop, ""]), "\n".join(["", *again, ""])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
