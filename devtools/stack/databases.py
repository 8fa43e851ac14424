"""The databases of a local stack: those that the environment names, else private servers."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from devtools.console import say
from devtools.databases import create_database
from devtools.engines import choice
from devtools.engines.engine import Engine
from devtools.engines.home import Home
from devtools.engines.run_user import unprivileged_user
from devtools.engines.server import Server

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


DATABASES = (
    Database("inventory", "INVENTORY_DATABASE_URL", "holdfast_inventory", choice.for_inventory),
    Database("delivery", "DELIVERY_DATABASE_URL", "holdfast_delivery", choice.for_delivery),
)


def start(local: Path) -> dict[str, str]:
    """Makes sure that each database can be reached; returns the URLs by the variable that carries them."""
    return {database.variable: _url(database, local) for database in DATABASES}


def homes(local: Path) -> list[Home]:
    """Lists where private servers of this stack may live."""
    return [_home(local, name) for name in ("mysql", "mariadb", "postgres")]


def _url(database: Database, local: Path) -> str:
    if given := os.environ.get(database.variable):
        say(f"{database.service}: the database that {database.variable} names")
        return given
    engine = database.choose()
    server = Server(engine, _home(local, engine.name))
    server.start()
    url = server.url(database.name)
    asyncio.run(create_database(url))
    return url


def _home(local: Path, name: str) -> Home:
    """Finds the home of a server; one that runs under another account cannot be inside a private checkout."""
    if name != "postgres" or unprivileged_user() is None:
        return Home(local / name)
    checkout = SYSTEM_STATE / hashlib.sha256(str(local).encode()).hexdigest()[:12]
    checkout.mkdir(parents=True, exist_ok=True)
    for folder in (SYSTEM_STATE, checkout):
        folder.chmod(0o755)
    return Home(checkout / name)
