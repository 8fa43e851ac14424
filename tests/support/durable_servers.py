"""Servers as one would run them, apart from the run's own, which are faster and count more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from devtools.engines import choice
from devtools.engines.engine import Engine
from devtools.engines.home import Home
from devtools.engines.mariadb import MariaDB
from devtools.engines.mysql import MySQL
from devtools.engines.server import Server
from tests.support.engines import CANDIDATES, new_home


class UncountedMariaDB(MariaDB):
    """MariaDB as it comes: it counts no reads."""

    def command(self, data: Path, sockets: Path, *, durable: bool) -> list[str]:
        words = super().command(data, sockets, durable=durable)
        return [word for word in words if not word.startswith("--performance-schema")]


class UnwatchedMySQL(MySQL):
    """MySQL without its Performance Schema, as small ones that somebody else runs come."""

    def command(self, data: Path, sockets: Path, *, durable: bool) -> list[str]:
        return [*super().command(data, sockets, durable=durable), "--performance-schema=OFF"]


@asynccontextmanager
async def durable_server(name: str, database: str, *, watched: bool = True) -> AsyncIterator[str]:
    """The URL of a database on a server that keeps what it acknowledges; postgres, mysql or mariadb.

    One that is not `watched` is a MySQL without its Performance Schema.
    """
    engine = choice.choose(name, CANDIDATES[name])
    if name == "mariadb":
        engine = cast(Engine, UncountedMariaDB(**vars(engine)))
    if name == "mysql" and not watched:
        engine = cast(Engine, UnwatchedMySQL(**vars(engine)))
    server = Server(engine, Home(new_home()))
    try:
        await asyncio.to_thread(server.start)
        yield server.url(database)
    finally:
        await asyncio.to_thread(server.discard)
