"""Medusa: its inventory module with its Postgres lock, in a Node.js process of its own."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from sqlalchemy import make_url

from benchmarks.database import database, libpq_url
from benchmarks.peers.packages import PROGRAMS
from benchmarks.peers.program import Program, running
from benchmarks.peers.sides import About, Books, Outcome, Work
from devtools.packages import node, node_packages

POOL = 128
"""Two for each caller: one holds the lock, its work needs the other."""

BOOKS = """
SELECT sum(level.stocked_quantity), sum(level.reserved_quantity), (
    SELECT coalesce(sum(quantity), 0) FROM reservation_item
    WHERE deleted_at IS NULL AND inventory_item_id IN (SELECT id FROM inventory_item WHERE sku = ANY($1))
)
FROM inventory_level level JOIN inventory_item item ON item.id = level.inventory_item_id WHERE item.sku = ANY($1)
"""


class Medusa:
    """The module, `locked` or as `shipped`."""

    def __init__(self, program: Program, connection: asyncpg.Connection, versions: str, how: str) -> None:
        self._program = program
        self._connection = connection
        self._versions = versions
        self._how = how

    @property
    def about(self) -> About:
        locked = "createReservationItems within locking.execute of locking-postgres, as its own checkout does"
        alone = "createReservationItems of the module alone"
        return About(
            "Medusa" if self._how == "locked" else "Medusa, the module alone",
            self._versions,
            f"{locked if self._how == 'locked' else alone}; in process, pool of {POOL}, no HTTP in between",
            "a repeated call reserves again (no key of the caller's); no expiry; no ledger of movements; its lock waits"
            " 5 s at most; levels are checked by the callers' lock, not by the database",
        )

    async def stock(self, skus: Sequence[str], quantity: int) -> None:
        await self._program.stock(skus, quantity)

    async def forget(self) -> None:
        await self._connection.execute("TRUNCATE reservation_item")

    async def reserve(self, work: Work) -> Outcome:
        return await self._program.reserve(work, self._how)

    async def books(self, skus: Sequence[str]) -> Books:
        row = await self._connection.fetchrow(BOOKS, list(skus))
        return Books(*(int(figure) for figure in row))


@asynccontextmanager
async def medusa(server: str, log: Path) -> AsyncIterator[tuple[Medusa, Medusa]]:
    """Medusa over a database of its own: locked, and as shipped. Raises PeerUnavailable, PackagesUnavailable."""
    runtime = node()
    folder = node_packages("medusa", PROGRAMS, runtime)
    versions = json.loads((PROGRAMS / "package.json").read_text())["dependencies"]
    line = (
        f"@medusajs/inventory {versions['@medusajs/inventory']}, Node.js {runtime.version} ({runtime.origin})"
    )
    async with database(server) as url:
        command = [runtime.node, PROGRAMS / "medusa.mjs"]
        environment = {
            "HOLDFAST_PEER_URL": _url(url),
            "HOLDFAST_PEER_HOST": str(make_url(url).query.get("host", make_url(url).host)),
            "HOLDFAST_PEER_POOL": str(POOL),
            "NODE_ENV": "production",
        }
        connection = await asyncpg.connect(libpq_url(url))
        try:
            async with running(command, folder=folder, environment=environment, log=log) as program:
                locked, shipped = (Medusa(program, connection, line, how) for how in ("locked", "shipped"))
                yield locked, shipped
        finally:
            await connection.close()


def _url(url: str) -> str:
    """Medusa wants a host in it, although the socket's folder in its query is what counts."""
    parsed = make_url(url).set(drivername="postgresql", host="localhost")
    return parsed.update_query_dict({"sslmode": "disable"}).render_as_string(hide_password=False)
