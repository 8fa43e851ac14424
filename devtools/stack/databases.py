"""The databases of a local stack: those that the environment names, else private servers."""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from devtools.console import say
from devtools.databases import create_database
from devtools.engines import choice
from devtools.engines.engine import Engine
from devtools.engines.home import Home
from devtools.engines.run_user import unprivileged_user
from devtools.engines.server import Server
from devtools.stack import given
from devtools.stack.service import LOCAL

# The place for what a machine keeps over restarts. Only root writes there, so nobody can be there first, and
# it is not aged away as temporary folders are.
SYSTEM_STATE = Path("/var/lib/holdfast")


@dataclass(frozen=True)
class Database:
    """The database of one service and how a private server for it is chosen."""

    service: str
    variable: str
    name: str
    choose: Callable[[], Engine]


ENGINES = ("mysql", "mariadb", "postgres")
DATABASES = (
    Database("inventory", "INVENTORY_DATABASE_URL", "holdfast_inventory", choice.for_inventory),
    Database("delivery", "DELIVERY_DATABASE_URL", "holdfast_delivery", choice.for_delivery),
)


def start(local: Path) -> dict[str, str]:
    """Makes sure that each database can be reached; returns the URLs by the variable that carries them."""
    return {database.variable: _url(database, local) for database in DATABASES}


def running(local: Path) -> bool:
    """Whether a private server of a stack runs."""
    return any(home(local, name).process for name in ENGINES)


def stop(local: Path) -> None:
    """Stops the private servers of a stack; data stays."""
    for name in ENGINES:
        home(local, name).stop()


def forget(local: Path) -> None:
    """Stops the private servers of a stack and forgets their data."""
    for name in ENGINES:
        found = home(local, name)
        found.discard()
        with suppress(OSError):
            found.folder.parent.rmdir()


def _url(database: Database, local: Path) -> str:
    own = [home(each, name) for each in {local, LOCAL} for name in ENGINES]
    if found := given.url(database.variable, own):
        say(f"{database.service}: the database that {database.variable} names")
        return found
    engine = database.choose()
    server = Server(engine, home(local, engine.name))
    _make_enterable(server.home.folder.parent)
    if server.pid is None:
        say(f"starting {engine.title} …")
    server.start()
    url = server.url(database.name)
    asyncio.run(create_database(url))
    return url


def home(local: Path, name: str) -> Home:
    """Finds the home of a server; one that runs under another account cannot be inside a private checkout."""
    if name != "postgres" or unprivileged_user() is None:
        return Home(local / name)
    return Home(SYSTEM_STATE / hashlib.sha256(str(local).encode()).hexdigest()[:12] / name)


def _make_enterable(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if folder.is_relative_to(SYSTEM_STATE):
        for step in (SYSTEM_STATE, folder):
            step.chmod(0o755)
