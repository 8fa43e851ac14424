"""Servers for a campaign over databases of its own, and what their books say."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
from holdfast.inventory.v1 import inventory_pb2_grpc, reservation_pb2, stock_pb2
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from chaos.campaign import call_off
from tests.support.databases import fresh_database
from tests.support.services import Pair, ServiceProcess, migrate
from tests.support.town import SYSTEM, findings

_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
)


class Inventories:
    """Some inventory servers over one database, and a stub for each."""

    def __init__(
        self, pair: Pair, servers: Sequence[ServiceProcess], channels: Sequence[grpc.aio.Channel]
    ) -> None:
        self.servers = servers
        self.stubs = [inventory_pb2_grpc.InventoryServiceStub(channel) for channel in channels]
        self.url = pair.inventory_url
        self._channels = channels

    async def stock(self, sku: str, quantity: int) -> None:
        """A new stock."""
        request = stock_pb2.CreateStockRequest(sku=sku, quantity=quantity)
        await self.stubs[0].CreateStock(request, metadata=SYSTEM, timeout=30, wait_for_ready=True)

    async def levels(self, sku: str) -> tuple[int, int]:
        """Quantity and reserved quantity."""
        request = stock_pb2.GetStockRequest(sku=sku)
        stock = (await self.stubs[0].GetStock(request, timeout=30, wait_for_ready=True)).stock
        return stock.quantity, stock.reserved_quantity

    async def findings(self) -> list[str]:
        """What CheckConsistency finds."""
        return await findings(self._channels[0])

    @asynccontextmanager
    async def watched_locks(self, seen: list[int], *, pause_seconds: float = 0.05) -> AsyncIterator[None]:
        """Adds to `seen` how many sessions were found waiting for a lock at each look."""
        engine = create_async_engine(self.url, isolation_level="AUTOCOMMIT")

        async def look() -> None:
            async with engine.connect() as connection:
                while True:
                    seen.append((await connection.execute(_WAITING)).scalar_one())
                    await asyncio.sleep(pause_seconds)

        looking = asyncio.create_task(look())
        try:
            yield
        finally:
            try:
                await call_off(looking)
            finally:
                await engine.dispose()


@asynccontextmanager
async def inventories(count: int, folder: Path) -> AsyncIterator[Inventories]:
    """So many inventory servers over one fresh database, serving."""
    async with fresh_database("postgres") as url:
        await migrate("inventory", url)
        pair = Pair(url, "", folder)
        servers = [pair.inventory, *(pair.another_inventory() for _ in range(count - 1))]
        channels = [pair.channel(server) for server in servers]
        try:
            await asyncio.gather(*(server.start() for server in servers))
            yield Inventories(pair, servers, channels)
        finally:
            for channel in channels:
                await channel.close()
            await pair.kill()


def one_unit(reservation_id: str, sku: str, *, holder: str = "chaos") -> reservation_pb2.ReserveStockRequest:
    """A wish for one unit."""
    line = reservation_pb2.ReservationLine(sku=sku, quantity=1)
    return reservation_pb2.ReserveStockRequest(reservation_id=reservation_id, holder=holder, lines=[line])
