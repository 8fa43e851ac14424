"""The backup of the schema `inventory` that is taken before any change, and the way back to it."""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.adoption.journal import JOURNAL
from inventory_service.adoption.programs import BackupFailed, Programs, connection_options, environment
from servicekit.migrations import VERSION_TABLE
from servicekit.schema_history import HISTORY_TABLE

# Keys of other schemas that point here go before the schema, and come back after it.
_KEYS_FROM_OUTSIDE = text("""
SELECT format('%I.%I', n.nspname, there.relname) AS table, conname AS name, pg_get_constraintdef(con.oid) AS definition
FROM pg_constraint con JOIN pg_class here ON here.oid = con.confrelid JOIN pg_class there ON there.oid = con.conrelid
JOIN pg_namespace n ON n.oid = there.relnamespace
WHERE contype = 'f' AND here.relnamespace = to_regnamespace('inventory')
AND there.relnamespace <> here.relnamespace AND con.conparentid = 0
""")
_VIEWS_FROM_OUTSIDE = text("""
SELECT DISTINCT v.oid::regclass::text FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid
JOIN pg_class v ON v.oid = r.ev_class JOIN pg_class t ON t.oid = d.refobjid
WHERE d.classid = 'pg_rewrite'::regclass AND t.relnamespace = to_regnamespace('inventory')
AND v.relnamespace <> t.relnamespace
""")
_FACTS = text(
    "SELECT quote_ident(relname) FROM pg_class WHERE relnamespace = to_regnamespace('analytics')"
    " AND relkind IN ('r', 'p') AND relname <> ALL (COALESCE((SELECT analytics FROM inventory.adoption), '{}'))"
)


async def back_up(programs: Programs, url: URL, folder: Path) -> Path:
    """Writes a backup into the folder and reads its list of contents. Raises BackupFailed."""
    name = f"inventory-{url.database}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.dump"
    unfinished = folder / f".{name}.unfinished"
    _make_private(unfinished)
    try:
        await programs.run("pg_dump", ["--format=custom", "--schema=inventory", f"--file={unfinished}"], url)
        await check_backup(programs, unfinished)
        _keep(unfinished, folder / name)
    except BaseException:
        _forget(unfinished)
        raise
    return folder / name


def _make_private(file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)


def _keep(unfinished: Path, file: Path) -> None:
    _make_durable(unfinished)
    unfinished.rename(file)
    _make_durable(file.parent)


def _make_durable(path: Path) -> None:
    """A file's content, or a folder's names."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _forget(file: Path) -> None:
    file.unlink(missing_ok=True)


async def check_backup(programs: Programs, file: Path) -> None:
    """Raises BackupFailed unless the file can be read to its end and has the rows of stock in it."""
    contents = await programs.run("pg_restore", ["--list", str(file)])
    if " TABLE DATA inventory stock " not in contents:
        raise BackupFailed(f"{file} is a backup, but has no rows of inventory.stock")
    # The list stands at the head; reading all of it finds a file that ends too early.
    await programs.run("pg_restore", ["--file=/dev/null", str(file)])


async def put_back(connection: AsyncConnection, programs: Programs, url: URL, file: Path) -> None:
    """Replaces the schema `inventory` by the backup, in one transaction. Raises BackupFailed; then nothing changed."""
    views = (await connection.execute(_VIEWS_FROM_OUTSIDE)).scalars().all()
    if views:
        raise BackupFailed(f"views of other schemas read from inventory; drop them first: {', '.join(views)}")
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
    writing = await asyncio.create_subprocess_exec(
        *(str(psql), *connection_options(url), *options, "--file=-"),
        env=environment(psql, url),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert writing.stdin is not None and writing.stderr is not None
    complaint = asyncio.create_task(writing.stderr.read())
    try:
        await _feed(writing.stdin, programs, file, before, after)
        code = await writing.wait()
    except (BrokenPipeError, ConnectionResetError):
        code = await writing.wait()  # it has stopped listening, and says why
    except BaseException:
        # Without an end of its input there is no commit.
        writing.kill()
        await writing.wait()
        raise
    if code:
        raise BackupFailed(f"nothing was put back: {(await complaint).decode(errors='replace').strip()}")


async def _feed(into: asyncio.StreamWriter, programs: Programs, file: Path, before: str, after: str) -> None:
    into.write(before.encode())
    pg_restore = programs.pg_dump.with_name("pg_restore")
    reading = await asyncio.create_subprocess_exec(
        *(str(pg_restore), "--file=-", str(file)),
        env=environment(pg_restore, None),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert reading.stdout is not None
    try:
        while chunk := await reading.stdout.read(1 << 20):
            into.write(chunk)
            await into.drain()
        if await reading.wait():
            raise BackupFailed(f"nothing was put back: {file} cannot be read to its end")
    except BaseException:
        if reading.returncode is None:
            reading.kill()
            await reading.wait()
        raise
    into.write(after.encode())
    await into.drain()
    into.close()


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
