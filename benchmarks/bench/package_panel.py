"""The panel of delivery: packages made and moved and orders looked up, inventory beside it; and its transaction."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from holdfast.delivery.v1 import package_pb2
from holdfast.inventory.v1 import stock_pb2
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.bench import package_books
from benchmarks.bench.results import Load, Void
from benchmarks.bench.rows import Row
from benchmarks.bench.sides import Opened, Panel, Side, Tools
from benchmarks.bench.site import server_pid
from benchmarks.database import database, private_server
from servicekit.engines import create_engine
from tests.support.services import Pair, migrate
from tests.support.town import SYSTEM, Town

ORDERS, ORDERS_SHORT = 60_000, 5_000
UNITS = 1_000_000_000
AT_ONCE = 8
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
            processes = {"delivery server": shop.pair.delivery.pid}
        if keys.keys() & {"create-transaction", "create-orm"}:
            forms = await stack.enter_async_context(_forms(tools, server, orders))
            made |= forms.sides(keys)
        if pid := server_pid(server):
            processes[line.split(",")[0]] = pid
        yield Opened(made, processes, {"delivery's engine": line})


class Shop:
    """Both services with goods, orders and people; packages are numbered as their orders, from 1 on."""

    def __init__(self, tools: Tools, pair: Pair, town: Town, engine: AsyncEngine) -> None:
        self.pair = pair
        self._tools = tools
        self._town = town
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
        databases = [
            pid for url in (self.pair.inventory_url, self.pair.delivery_url) if (pid := server_pid(url))
        ]
        servers = [self.pair.delivery.pid, self.pair.inventory.pid]
        return {
            key: Side(partial(operate, rows[key]), settle, servers, databases)
            for key, (operate, settle) in known.items()
            if key in rows
        }

    async def _prepare(self, count: int) -> None:
        """Packages that a driver can claim."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one() -> str:
            async with gate:
                package = await self._town.package_of(
                    package_pb2.WORKFLOW_DRIVER_TO_USER, {package_books.SKU: 1}
                )
                return (await self._town.drive(package, until="PreparePackage")).package_sn

        self._prepared = list(await asyncio.gather(*(one() for _ in range(count))))

    async def _call(self, kind: str, row: Row, seconds: float, **wish: Any) -> Load:
        address = self.pair.delivery.address
        return await self._tools.caller.call(
            kind, address=address, in_flight=row.in_flight, seconds=seconds, **wish
        )

    async def _create(self, row: Row, seconds: float) -> Load:
        return await self._call("create", row, seconds, first_order=self._created + 1)

    async def _move(self, row: Row, seconds: float) -> Load:
        driver = self._town.parties.driver_id
        return await self._call("move", row, seconds, packages=self._prepared, driver_id=driver)

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
        made = self._created + len(self._prepared)
        await package_books.require(
            self._engine, packages=made, links=made, items=made, wishes=made, events=self._events
        )
        if found := await self._town.findings():
            raise Void(f"CheckConsistency finds {len(found)}: {'; '.join(found[:5])}")


@asynccontextmanager
async def _shop(tools: Tools, server: str, orders: int) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="hf-shop-")))
        inventory_url = await stack.enter_async_context(database(tools.postgres))
        delivery_url = await stack.enter_async_context(database(server))
        await asyncio.gather(migrate("inventory", inventory_url), migrate("delivery", delivery_url))
        engine = create_engine(delivery_url, pool_size=2, for_migrations=True)
        stack.push_async_callback(engine.dispose)
        await package_books.add_orders(engine, orders)
        pair = Pair(inventory_url, delivery_url, folder)
        stack.push_async_callback(pair.kill)
        await pair.start()
        town = Town(pair)
        stack.push_async_callback(town.close)
        await town.found()
        stock = stock_pb2.CreateStockRequest(sku=package_books.SKU, quantity=UNITS)
        await town.inventory.CreateStock(stock, metadata=SYSTEM, timeout=10)
        yield Shop(tools, pair, town, engine)


class Forms:
    """The transaction alone, in two forms that write to the same tables in turns."""

    def __init__(self, tools: Tools, url: str, engine: AsyncEngine) -> None:
        self._tools = tools
        self._url = url
        self._engine = engine
        self._created = 0

    def sides(self, rows: dict[str, Row]) -> dict[str, Side]:
        """Of those rows that are wanted."""
        database_pid = server_pid(self._url)
        return {
            key: Side(partial(self._create, row), self._settle, [], [database_pid] if database_pid else [])
            for key, row in rows.items()
            if key.startswith("create-")
        }

    async def _create(self, row: Row, seconds: float) -> Load:
        first = self._created + 1
        return await self._tools.caller.call(
            row.key, url=self._url, in_flight=row.in_flight, seconds=seconds, first_order=first
        )

    async def _settle(self, load: Load) -> None:
        self._created = made = self._created + load.operations
        await package_books.require(
            self._engine, packages=made, links=made, items=made, wishes=made, events=made
        )


@asynccontextmanager
async def _forms(tools: Tools, server: str, orders: int) -> AsyncIterator[Forms]:
    async with database(server) as url:
        await migrate("delivery", url)
        engine = create_engine(url, pool_size=2, for_migrations=True)
        await package_books.add_orders(engine, orders)
        yield Forms(tools, url, engine)
        await engine.dispose()
