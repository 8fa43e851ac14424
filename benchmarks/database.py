"""A private database for one measurement, on a server of its own with durability on."""

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import make_url

from devtools.databases import create_database, drop_database
from devtools.engines import choice
from devtools.engines.home import Home
from devtools.engines.server import Server

POSTGRES_URL = "HOLDFAST_BENCH_POSTGRES_URL"


@asynccontextmanager
async def postgres_database() -> AsyncIterator[tuple[str, str]]:
    """Gives the URL of an empty database and a line on the server; both are gone afterwards.

    HOLDFAST_BENCH_POSTGRES_URL names another server to measure on; there only the database is made and dropped.
    """
    if given := os.environ.get(POSTGRES_URL):
        async with _database(given) as url:
            yield url, "Postgres as the environment says"
        return
    server = Server(choice.choose("postgres", choice.POSTGRES), Home(_folder()))
    try:
        server.start()
        async with _database(server.url()) as url:
            yield url, f"{server.describe().split(',')[0]}, shared_buffers 64MB, fsync on"
    finally:
        server.discard()


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="hf-bench-", dir="/tmp"))
    # The server may have to run under another account.
    folder.chmod(0o755)
    return folder


@asynccontextmanager
async def _database(server: str) -> AsyncIterator[str]:
    url = make_url(server).set(database=f"bench_{uuid4().hex[:12]}").render_as_string(hide_password=False)
    await create_database(url)
    try:
        yield url
    finally:
        await drop_database(url)
