"""The panel of delivery: packages made and moved and orders looked up, inventory beside it; and its transaction."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from holdfast.delivery.v1 import directory_pb2, package_pb2
from holdfast.inventory.v1 import inventory_pb2_grpc, stock_pb2
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.bench import package_books
from benchmarks.bench.create_panel import forms_of, migrated
from benchmarks.bench.delivery_steps import SECONDS, SHOP
from benchmarks.bench.inventory_steps import CALLER as SYSTEM
from benchmarks.bench.processes import Served
from benchmarks.bench.results import Load
from benchmarks.bench.row import Row
from benchmarks.bench.sides import Opened, Panel, Side, Tools
from benchmarks.bench.site import server_pid
from benchmarks.database import database, private_server
from devtools.journey import PREPARE, Journey, Parties
from servicekit.engines import create_engine

ORDERS, ORDERS_SHORT = 60_000, 5_000
UNITS = 1_000_000_000
AT_ONCE = 8
PARTIES = Parties(SHOP, "1", "1")
Settle = Callable[[Load], Awaitable[None]]


def on_engine(engine: str) -> Panel:
    """The panel with delivery on "mysql" or "mariadb"."""
    return partial(packages, engine)


@asynccontextmanager
async def packages(engine: str, tools: Tools, rows: Sequence[Row]) -> AsyncIterator[Opened]:
    """Both services, and a database of its own for the transaction alone."""
    async with AsyncExitStack() as stack:
        server, line = stack.enter_context(private_server(engine))
        orders = ORDERS_SHORT if tools.short else ORDERS
        made: dict[str, Side] = {}
        processes: dict[str, int] = {}
        keys = {row.key: row for row in rows}
        if keys.keys() & {"package-create", "package-move", "order-look-up"}:
            shop = await stack.enter_async_context(_shop(tools, server, orders))
            made |= await shop.sides(keys)
            processes = {"delivery server": shop.delivery.pid}
        if keys.keys() & {"create-transaction", "create-orm"}:
            forms = await stack.enter_async_context(forms_of(tools, server, orders))
            made |= forms.sides(keys)
        if pid := server_pid(server):
            processes[line.split(",")[0]] = pid
        yield Opened(made, (), processes, {"delivery's engine": line})


class Shop:
    """Both services with goods, orders and people; packages are numbered as their orders, from 1 on."""

    def __init__(
        self, tools: Tools, engine: AsyncEngine, inventory: Served, delivery: Served, urls: Sequence[str]
    ) -> None:
        self.delivery = delivery
        self._inventory = inventory
        self._databases = [pid for url in urls if (pid := server_pid(url))]
        self._tools = tools
        self._engine = engine
        self._created = 0
        self._prepared: list[str] = []
        self._events = 0

    async def sides(self, rows: dict[str, Row]) -> dict[str, Side]:
        """Of those rows that are wanted."""
        if "package-move" in rows:
            await self._prepare(rows["package-move"].in_flight)
        self._events = (await package_books.counts(self._engine))["events"]
        if "order-look-up" in rows:
            # There must be packages to be found.
            await self._created_all(await self._create(rows["order-look-up"], self._tools.seconds))
        known: dict[str, tuple[Callable[[Row, float], Awaitable[Load]], Settle]] = {
            "package-create": (self._create, self._created_all),
            "package-move": (self._move, self._moved_all),
            "order-look-up": (self._look_up, self._as_before),
        }
        servers = [self.delivery.pid, self._inventory.pid]
        return {
            key: Side(partial(operate, rows[key]), settle, servers, self._databases)
            for key, (operate, settle) in known.items()
            if key in rows
        }

    async def _prepare(self, count: int) -> None:
        """Packages that the driver can claim, of the first orders."""
        gate = asyncio.Semaphore(AT_ONCE)
        async with self.delivery.channel() as channel:
            journey = Journey(channel, PARTIES)
            driver = directory_pb2.RegisterDriverRequest(driver_id=PARTIES.driver_id, name="D", phone="+1")
            await journey.delivery.RegisterDriver(driver, metadata=SYSTEM, timeout=SECONDS)

            async def one(order: int) -> str:
                request = package_pb2.CreatePackageRequest(
                    package_sn=f"PG{order}",
                    workflow=package_pb2.WORKFLOW_DRIVER_TO_USER,
                    shop_id=PARTIES.shop_id,
                    order_ids=[str(order)],
                )
                async with gate:
                    merchant = PARTIES.metadata("merchant")
                    await journey.delivery.CreatePackage(request, metadata=merchant, timeout=SECONDS)
                    return (await journey.take(f"PG{order}", PREPARE)).package_sn

            self._prepared = list(await asyncio.gather(*(one(order + 1) for order in range(count))))
        self._created = count

    async def _call(self, kind: str, row: Row, seconds: float, **wish: Any) -> Load:
        address = self.delivery.address
        return await self._tools.caller.call(
            kind, address=address, in_flight=row.in_flight, seconds=seconds, **wish
        )

    async def _create(self, row: Row, seconds: float) -> Load:
        return await self._call("create", row, seconds, first_order=self._created + 1)

    async def _move(self, row: Row, seconds: float) -> Load:
        return await self._call("move", row, seconds, packages=self._prepared, driver_id=PARTIES.driver_id)

    async def _look_up(self, row: Row, seconds: float) -> Load:
        return await self._call("look-up", row, seconds, orders=self._created)

    async def _created_all(self, load: Load) -> None:
        self._created += load.operations
        self._events += load.operations
        await self._as_before(load)

    async def _moved_all(self, load: Load) -> None:
        self._events += load.operations
        await self._as_before(load)

    async def _as_before(self, _: Load) -> None:
        made = self._created
        await package_books.require(
            self._engine, packages=made, links=made, items=made, wishes=made, events=self._events
        )
        await self.delivery.require_consistency()
        await self._inventory.require_consistency()


@asynccontextmanager
async def _shop(tools: Tools, server: str, orders: int) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="hf-shop-")))
        inventory_url = await stack.enter_async_context(database(tools.postgres))
        delivery_url = await stack.enter_async_context(database(server))
        await migrated("inventory", inventory_url)
        await migrated("delivery", delivery_url)
        engine = create_engine(delivery_url, pool_size=2, for_migrations=True)
        stack.push_async_callback(engine.dispose)
        await package_books.add_orders(engine, orders)
        inventory = Served(
            "inventory_service", "INVENTORY", {"INVENTORY_DATABASE_URL": inventory_url}, folder / "i.log"
        )
        settings = {
            "DELIVERY_DATABASE_URL": delivery_url,
            "DELIVERY_INVENTORY_ADDRESS": inventory.address,
            "DELIVERY_EVIDENCE_URL": str(folder / "evidence"),
        }
        delivery = Served("delivery_service", "DELIVERY", settings, folder / "d.log")
        for process in (inventory, delivery):
            stack.push_async_callback(process.kill)
            await process.start()
        async with inventory.channel() as channel:
            stub = inventory_pb2_grpc.InventoryServiceStub(channel)
            stock = stock_pb2.CreateStockRequest(sku=package_books.SKU, quantity=UNITS)
            await stub.CreateStock(stock, metadata=SYSTEM, timeout=SECONDS)
        yield Shop(tools, engine, inventory, delivery, (inventory_url, delivery_url))
