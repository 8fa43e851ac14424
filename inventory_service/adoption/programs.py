"""Postgres' own programs for backups, and how they reach the database of a URL."""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.adoption.backup import BackupFailed
from servicekit.adoption.running import running

_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
_SERVER_FOLDER = text("SELECT setting FROM pg_config WHERE name = 'BINDIR'")


@dataclass(frozen=True)
class Programs:
    """pg_dump with the pg_restore and psql beside it."""

    pg_dump: Path
    version: int

    async def run(self, name: str, arguments: Sequence[str], url: URL | None = None) -> str:
        """Runs one of them and answers what it prints. Raises BackupFailed with what it complains of."""
        program = self.pg_dump.with_name(name)
        command = [str(program), *(connection_options(url) if url else ()), *arguments]
        async with running(command, environment(program, url)) as process:
            output = await process.output.read()
            if complaint := await process.complaint():
                raise BackupFailed(f"{name} failed: {complaint}")
        return output.decode(errors="replace")


def connection_options(url: URL) -> list[str]:
    """The options that name the server, the account and the database."""
    host = url.host or _one(url.query.get("host"))
    named = {"host": host, "port": url.port or _one(url.query.get("port")), "username": url.username}
    given = [f"--{name}={value}" for name, value in named.items() if value]
    return [*given, "--no-password", f"--dbname={url.database}"]


def environment(program: Path, url: URL | None) -> Mapping[str, str]:
    """The environment in which a program finds its libraries and its password."""
    own = {"PGAPPNAME": "holdfast", "PGTZ": "UTC"}
    if url is not None and url.password:
        own["PGPASSWORD"] = url.password
    if url is not None and (mode := _one(url.query.get("ssl") or url.query.get("sslmode"))):
        own["PGSSLMODE"] = mode
    # A private copy of Postgres has its libraries beside its programs, where the loader does not look.
    above = [*program.resolve().parents][1:5]
    folders = [
        str(found)
        for root in above[1:]
        for found in root.glob("lib/*-linux-*")
        if "/usr/lib/" not in str(root)
    ]
    inherited = os.environ.get("LD_LIBRARY_PATH", "")
    if not str(program.resolve()).startswith("/usr/") and folders:
        own["LD_LIBRARY_PATH"] = ":".join(filter(None, [*folders, inherited]))
    return {**os.environ, **own}


async def find_programs(connection: AsyncConnection, named: Path | None) -> Programs:
    """The pg_dump that was named, or the oldest one that can read this server. Raises BackupFailed."""
    server = int((await connection.execute(text("SHOW server_version_num"))).scalar_one()) // 10_000
    candidates = [named] if named else [*_on_this_machine(), *await _beside_the_server(connection)]
    found = [Programs(path, version) for path in candidates if (version := await _version(path))]
    able = sorted((programs for programs in found if programs.version >= server), key=lambda it: it.version)
    if able:
        return able[0]
    package = (
        f"install postgresql-client-{server} (apt) or postgresql{server} (dnf), or name one with --pg-dump"
    )
    if found:
        newest = max(programs.version for programs in found)
        raise BackupFailed(f"the server is Postgres {server}, which pg_dump {newest} cannot read: {package}")
    if named:
        raise BackupFailed(f"{named} is no pg_dump that runs here, with pg_restore and psql beside it")
    raise BackupFailed(f"there is no pg_dump on this machine: {package}")


def _on_this_machine() -> list[Path]:
    on_path = shutil.which("pg_dump")
    placed = [found for place in _PLACES for found in Path("/").glob(f"{place[1:]}/pg_dump")]
    return ([Path(on_path)] if on_path else []) + placed


async def _beside_the_server(connection: AsyncConnection) -> list[Path]:
    # Only a superuser may ask, and only a server on this machine has a folder here.
    try:
        async with connection.begin_nested():
            folder = (await connection.execute(_SERVER_FOLDER)).scalar()
    except DBAPIError:
        return []
    return [Path(folder) / "pg_dump"] if folder else []


async def _version(path: Path) -> int | None:
    if not all(path.with_name(name).exists() for name in ("pg_dump", "pg_restore", "psql")):
        return None
    try:
        said = await Programs(path, 0).run(path.name, ["--version"])
    except (BackupFailed, OSError):
        return None
    found = re.match(r"pg_dump \([^)]*\) (\d+)", said)
    return int(found[1]) if found else None


def _one(value: str | tuple[str, ...] | None) -> str | None:
    return value[0] if isinstance(value, tuple) else value
