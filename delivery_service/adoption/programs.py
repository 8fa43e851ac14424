"""The engines' own programs for backups, and how they reach the database of a URL."""

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.adoption.backup import BackupFailed
from servicekit.adoption.running import running

_PLACES = ("/usr/bin", "/usr/local/bin", "/usr/local/mysql/bin", "/opt/homebrew/opt/*/bin")
_OF_MARIADB = re.compile(r"(\d+)\.\d+\.\d+-MariaDB")
_OF_MYSQL = re.compile(r"(?:Distrib|Ver) (\d+)\.\d+\.\d+")


@dataclass(frozen=True)
class Make:
    """An engine as its servers and its dumps name themselves."""

    title: str
    major: int

    def __str__(self) -> str:
        return f"{self.title} {self.major}"


@dataclass(frozen=True)
class Programs:
    """A dump program with the client beside it."""

    dump: Path
    client: Path
    make: Make


async def find_programs(connection: AsyncConnection, named: Path | None) -> Programs:
    """The dump program that was named, or the oldest one that is of this server's make. Raises BackupFailed."""
    server = make_of(connection)
    candidates = [named] if named else list(_on_this_machine())
    found = [programs for path in candidates if (programs := await _programs(path))]
    able = [it for it in found if it.make.title == server.title and it.make.major >= server.major]
    if able:
        return min(able, key=lambda it: it.make.major)
    package = (
        "mariadb-client (apt) or mariadb (dnf)" if server.title == "MariaDB" else "mysql-client or mysql"
    )
    advice = f"install {package}, or name a program with --dump-program"
    if found:
        others = ", ".join(f"{it.dump} is of {it.make}" for it in found)
        raise BackupFailed(f"the server is {server}, which its own programs back up; {others}: {advice}")
    if named:
        raise BackupFailed(
            f"{named} is no mysqldump or mariadb-dump that runs here, with its client beside it"
        )
    raise BackupFailed(f"there is no mysqldump or mariadb-dump on this machine: {advice}")


def make_of(connection: AsyncConnection) -> Make:
    """The server's make."""
    dialect: Any = connection.dialect
    return Make("MariaDB" if dialect.is_mariadb else "MySQL", dialect.server_version_info[0])


@contextmanager
def option_file(url: URL) -> Iterator[Path]:
    """A file, private and short-lived, from which a program learns the server, the account and its password."""
    query = {name: value if isinstance(value, str) else value[0] for name, value in url.query.items()}
    socket = query.get("unix_socket")
    given = {
        "user": url.username,
        "password": url.password,
        "host": url.host,
        "port": url.port,
        "socket": socket,
        # Without it, the client takes "localhost" for a socket of its own choice.
        "protocol": "socket" if socket else "tcp",
        **{f"ssl-{name}": query.get(f"ssl_{name}") for name in ("ca", "cert", "key")},
    }
    lines = ["[client]", *(f"{name}={_quoted(str(value))}" for name, value in given.items() if value)]
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        file = Path(folder) / "client.cnf"
        file.touch(mode=0o600)
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        yield file


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _on_this_machine() -> Iterator[Path]:
    names = ("mariadb-dump", "mysqldump")
    found = [Path(path) for name in names if (path := shutil.which(name))]
    placed = [path for place in _PLACES for name in names for path in Path("/").glob(f"{place[1:]}/{name}")]
    yield from dict.fromkeys([*found, *placed])


async def _programs(dump: Path) -> Programs | None:
    make = await _make(dump)
    # Both makes may stand in one folder, and neither's client serves the other: MariaDB's goes by either name.
    for client in (dump.with_name(name) for name in ("mariadb", "mysql")):
        if make and (found := await _make(client)) and found.title == make.title:
            return Programs(dump, client, make)
    return None


async def _make(program: Path) -> Make | None:
    try:
        said = await _output([str(program), "--version"])
    except OSError:
        return None
    mariadb, mysql = _OF_MARIADB.search(said), _OF_MYSQL.search(said)
    return Make("MariaDB", int(mariadb[1])) if mariadb else Make("MySQL", int(mysql[1])) if mysql else None


async def _output(command: Sequence[str]) -> str:
    async with running(command) as process:
        output = await process.output.read()
        return "" if await process.complaint() else output.decode(errors="replace")
