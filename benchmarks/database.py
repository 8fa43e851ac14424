"""Private servers and databases for measurements, with durability on."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import make_url

from devtools.databases import create_database, drop_database
from devtools.engines import choice
from devtools.engines.home import Home
from devtools.engines.server import Server

FOLDER = os.environ.get("HOLDFAST_BENCH_FOLDER", "/tmp")
"""Where the private servers keep their files."""
CANDIDATES = {"postgres": choice.POSTGRES, "mysql": choice.MYSQL, "mariadb": choice.MARIADB}
MEMORY = {
    "postgres": "shared_buffers 64MB",
    "mysql": "buffer pool 64 MiB",
    "mariadb": "buffer pool 64 MiB",
}


@asynccontextmanager
async def postgres_database() -> AsyncIterator[tuple[str, str]]:
    """Gives the URL of an empty Postgres database and a line on its server; both are gone afterwards."""
    with private_server("postgres") as (server, line):
        async with database(server) as url:
            yield url, line


@contextmanager
def private_server(engine: str) -> Iterator[tuple[str, str]]:
    """Gives the URL of a server of `postgres`, `mysql` or `mariadb` and a line on it; it is gone afterwards.

    HOLDFAST_BENCH_POSTGRES_URL (or _MYSQL_ or _MARIADB_) names another server to measure on, which stays;
    HOLDFAST_BENCH_FOLDER the folder to keep its files in, such as one in memory.
    """
    if given := os.environ.get(f"HOLDFAST_BENCH_{engine.upper()}_URL"):
        yield given, f"{engine} as the environment says"
        return
    with killable_server(engine) as server:
        where = "" if FOLDER == "/tmp" else f", files in {FOLDER}"
        yield server.url(), f"{server.describe().split(',')[0]}, {MEMORY[engine]}, fsync on{where}"


@contextmanager
def killable_server(engine: str) -> Iterator[Server]:
    """A running server of one's own, whatever the environment says; it is gone afterwards."""
    server = Server(choice.choose(engine, CANDIDATES[engine]), Home(_folder()))
    try:
        server.start()
        yield server
    finally:
        server.discard()


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="hf-bench-", dir=FOLDER))
    # The server may have to run under another account.
    folder.chmod(0o755)
    return folder


def libpq_url(url: str) -> str:
    """A URL of ours as every driver of Postgres understands it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@asynccontextmanager
async def database(server: str) -> AsyncIterator[str]:
    """Gives the URL of an empty database of the server, and drops it afterwards."""
    url = make_url(server).set(database=f"bench_{uuid4().hex[:12]}").render_as_string(hide_password=False)
    await create_database(url)
    try:
        yield url
    finally:
        await drop_database(url)
