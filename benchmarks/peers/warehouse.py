"""A holdfast server as a process, as it is shipped, over a database of its own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import grpc
from holdfast.inventory.v1 import inventory_pb2_grpc, stock_pb2

from benchmarks.bench.create_panel import migrated
from benchmarks.bench.processes import Served
from benchmarks.bench.statement_forms import SESSION
from benchmarks.database import database, libpq_url
from benchmarks.peers.sides import Books

TIMEOUT_SECONDS = 10.0
AT_ONCE = 16

BOOKS = """
SELECT sum(quantity), sum(reserved_quantity), (
    SELECT coalesce(sum(line.quantity), 0) FROM inventory.reservation_line line
    JOIN inventory.reservation USING (reservation_id)
    WHERE state = 'HELD' AND line.stock_id IN (SELECT id FROM inventory.stock WHERE sku = ANY($1))
)
FROM inventory.stock WHERE sku = ANY($1)
"""


FORGET = (
    "TRUNCATE inventory.reservation, inventory.reservation_line",
    "UPDATE inventory.stock SET reserved_quantity = 0 WHERE reserved_quantity > 0",
)


class Warehouse:
    """A server that runs, and its database."""

    def __init__(
        self, url: str, served: Served, channel: grpc.aio.Channel, connection: asyncpg.Connection
    ) -> None:
        self.url = url
        self.findings = served.findings
        """What CheckConsistency finds; nothing, where every book agrees with every other."""
        self.stub = inventory_pb2_grpc.InventoryServiceStub(channel)
        self._connection = connection

    async def stock(self, skus: Sequence[str], quantity: int) -> None:
        """Makes stocks of so many units each."""
        for first in range(0, len(skus), AT_ONCE):
            requests = [
                stock_pb2.CreateStockRequest(sku=sku, quantity=quantity, request_id=f"make-{sku}")
                for sku in skus[first : first + AT_ONCE]
            ]
            await asyncio.gather(*(self.stub.CreateStock(r, timeout=TIMEOUT_SECONDS) for r in requests))

    async def checkpoint(self) -> None:
        """Of the whole engine, so that every turn pays alike for the first change of a page."""
        await self._connection.execute("CHECKPOINT")

    async def forget(self) -> None:
        """Nothing is held any more."""
        for statement in FORGET:
            await self._connection.execute(statement)

    async def books(self, skus: Sequence[str]) -> Books:
        """Asks the database."""
        return Books(*(await self._connection.fetchrow(BOOKS, list(skus))))


@asynccontextmanager
async def warehouse(server: str, log: Path) -> AsyncIterator[Warehouse]:
    """A holdfast server over a fresh database of that engine."""
    async with database(server) as url:
        await migrated("inventory", url)
        connection = await asyncpg.connect(libpq_url(url), server_settings={"application_name": SESSION})
        served = Served("inventory_service", "INVENTORY", {"INVENTORY_DATABASE_URL": url}, log)
        try:
            await served.start()
            async with served.channel() as channel:
                yield Warehouse(url, served, channel, connection)
        finally:
            await served.kill()
            await connection.close()
