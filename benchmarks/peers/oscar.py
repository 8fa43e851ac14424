"""django-oscar: its StockRecord with a row lock, in a Python process with packages of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from sqlalchemy import make_url

from benchmarks.database import database, libpq_url
from benchmarks.peers.packages import PROGRAMS, python_program, version
from benchmarks.peers.program import Program, running
from benchmarks.peers.sides import About, Books, Outcome, Work
from devtools.environment import ROOT
from devtools.packages import python_packages

POOL = 64
"""One for each caller, as Django has it by itself: a smaller one made callers wait for each other at any sku."""

BOOKS = """
SELECT sum(num_in_stock), coalesce(sum(num_allocated), 0), (
    SELECT coalesce(sum(num_allocated), 0) FROM order_line
    WHERE stockrecord_id IN (SELECT id FROM partner_stockrecord WHERE partner_sku = ANY($1))
)
FROM partner_stockrecord WHERE partner_sku = ANY($1)
"""


class Oscar:
    """The stock record, `locked` or as `shipped`."""

    def __init__(self, program: Program, connection: asyncpg.Connection, versions: str, how: str) -> None:
        self._program = program
        self._connection = connection
        self._versions = versions
        self._how = how

    @property
    def about(self) -> About:
        lock = (
            "select_for_update by the caller"
            if self._how == "locked"
            else "no lock, as its own way to an order"
        )
        return About(
            "django-oscar" if self._how == "locked" else "django-oscar, without the caller's lock",
            self._versions,
            f"{lock}, availability asked, allocate(1), one order line as the reservation's row; callers are"
            f" threads over a pool of {POOL}, no HTTP in between",
            "no reservation of its own (an order line stands for it); a repeated call reserves again; no expiry; no"
            " ledger; the lock is the caller's to remember",
        )

    async def stock(self, skus: Sequence[str], quantity: int) -> None:
        await self._program.stock(skus, quantity)

    async def forget(self) -> None:
        await self._connection.execute("TRUNCATE order_line CASCADE")

    async def reserve(self, work: Work) -> Outcome:
        return await self._program.reserve(work, self._how)

    async def books(self, skus: Sequence[str]) -> Books:
        return Books(*(await self._connection.fetchrow(BOOKS, list(skus))))


@asynccontextmanager
async def oscar(server: str, log: Path) -> AsyncIterator[tuple[Oscar, Oscar]]:
    """django-oscar over a database of its own: locked, and as shipped. Raises PeerUnavailable, PackagesUnavailable."""
    packages = python_packages(PROGRAMS / "oscar.txt")
    line = ", ".join(f"{name} {version(packages, name)}" for name in ("django-oscar", "django", "psycopg"))
    async with database(server) as url:
        parsed = make_url(url)
        environment = {
            "PYTHONPATH": str(packages),
            "DJANGO_SETTINGS_MODULE": "benchmarks.peers.programs.oscar_settings",
            "HOLDFAST_PEER_HOST": str(parsed.query.get("host", parsed.host)),
            "HOLDFAST_PEER_USER": parsed.username or "",
            "HOLDFAST_PEER_DATABASE": parsed.database or "",
            "HOLDFAST_PEER_POOL": str(POOL),
        }
        connection = await asyncpg.connect(libpq_url(url))
        try:
            async with running(
                python_program("oscar"), folder=ROOT, environment=environment, log=log
            ) as program:
                locked, shipped = (Oscar(program, connection, line, how) for how in ("locked", "shipped"))
                yield locked, shipped
        finally:
            await connection.close()
