"""Both services with goods, orders and people, and what is measured of delivery upon them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from holdfast.inventory.v1 import inventory_pb2_grpc, stock_pb2
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.bench import package_books
from benchmarks.bench.create_panel import migrated
from benchmarks.bench.delivery_steps import SECONDS
from benchmarks.bench.inventory_steps import CALLER as SYSTEM
from benchmarks.bench.processes import Served
from benchmarks.bench.results import Load
from benchmarks.bench.row import Row
from benchmarks.bench.shop_people import PARTIES, People
from benchmarks.bench.sides import Settle, Side, Tools
from benchmarks.bench.site import server_pid
from benchmarks.database import database
from servicekit.persistence.engines import create_engine

UNITS = 1_000_000_000
MOST_SECONDS = 600.0
OF_PACKAGES = ("events", "mapping", "orders", "proofs", "outbox", "reservations")
"""All but the photos, which are read whole, each of them."""
FIRST_RATE, SPARE = 200.0, 1.5
"""Steps a second until the first turn told, and how much more than that a turn finds ready."""


class Shop:
    """Packages are numbered as their orders, from 1 on."""

    def __init__(
        self, tools: Tools, engine: AsyncEngine, inventory: Served, delivery: Served, urls: Sequence[str]
    ) -> None:
        self.delivery = delivery
        self.inventory = inventory
        self._databases = [pid for url in urls if (pid := server_pid(url))]
        self._tools = tools
        self._engine = engine
        self._people = People(delivery)
        self._created = self._looked_up = self._events = 0
        self._claimable: list[str] = []
        self._fresh: list[str] = []
        """Packages whose goods are held, and which nobody has moved."""
        self._rates: dict[str, float] = {}

    async def sides(self, rows: Mapping[str, Row]) -> dict[str, Side]:
        """Of those rows that are wanted."""
        if "package-move" in rows:
            self._created = rows["package-move"].in_flight
            self._claimable = await self._people.claimable(self._created)
        self._events = (await package_books.counts(self._engine))["events"]
        if "order-look-up" in rows:
            # There must be packages to be found, and nobody may cancel them.
            await self._created_all(await self._create(rows["order-look-up"], self._tools.seconds))
            self._looked_up = self._created
            self._fresh.clear()
        known: dict[str, tuple[Callable[[Row, float], Awaitable[Load]], Settle]] = {
            "package-create": (self._create, self._created_all),
            "package-move": (self._move, self._moved_all),
            "package-prepare": (partial(self._use_up, "prepare"), self._moved_all),
            "package-cancel": (partial(self._use_up, "cancel"), self._moved_all),
            "order-look-up": (self._look_up, self._as_before),
        }
        servers = [self.delivery.pid, self.inventory.pid]
        made = {
            key: Side(partial(operate, rows[key]), settle, servers, self._databases)
            for key, (operate, settle) in known.items()
            if key in rows
        }
        for key in made.keys() & {"package-prepare", "package-cancel"}:
            ready = partial(self._supply, rows[key], photos=key == "package-prepare")
            made[key] = replace(made[key], ready=ready)
        return made

    async def _call(self, kind: str, row: Row, seconds: float, **wish: Any) -> Load:
        address = self.delivery.address
        return await self._tools.caller.call(
            kind, address=address, in_flight=row.in_flight, seconds=seconds, **wish
        )

    async def _create(self, row: Row, seconds: float, **wish: Any) -> Load:
        return await self._call("create", row, seconds, first_order=self._created + 1, **wish)

    async def _move(self, row: Row, seconds: float) -> Load:
        return await self._call("move", row, seconds, packages=self._claimable, driver_id=PARTIES.driver_id)

    async def _use_up(self, kind: str, row: Row, seconds: float) -> Load:
        """Moves fresh packages, each once."""
        load = await self._call(kind, row, seconds, packages=self._fresh, photos=self._people.photos)
        del self._fresh[: load.operations]
        self._rates[row.key] = load.operations / load.seconds
        return load

    async def _supply(self, row: Row, seconds: float, *, photos: bool) -> None:
        """More fresh packages than a turn uses up."""
        wanted = round(self._rates.get(row.key, FIRST_RATE) * seconds * SPARE) + row.in_flight
        if (lacking := wanted - len(self._fresh)) > 0:
            await self._created_all(await self._create(row, MOST_SECONDS, most=lacking))
        if photos:
            await self._people.take_photos(self._fresh[:wanted])

    async def _look_up(self, row: Row, seconds: float) -> Load:
        return await self._call("look-up", row, seconds, orders=self._looked_up)

    async def _created_all(self, load: Load) -> None:
        self._fresh += [f"PG{self._created + number + 1}" for number in range(load.operations)]
        self._created += load.operations
        await self._moved_all(load)

    async def _moved_all(self, load: Load) -> None:
        self._events += load.operations
        await self._as_before(load)

    async def _as_before(self, _: Load) -> None:
        await package_books.wait_for_relay(self._engine)
        made = self._created
        await package_books.require(
            self._engine, packages=made, links=made, items=made, wishes=made, events=self._events
        )
        await self.delivery.require_consistency(*OF_PACKAGES)
        await self.inventory.require_consistency()

    async def check_all(self) -> None:
        """Everything that either service can find. Raises Void."""
        await self.delivery.require_consistency()
        await self.inventory.require_consistency()


@asynccontextmanager
async def shop(tools: Tools, server: str, orders: int) -> AsyncIterator[Shop]:
    """One that is open, with so many paid orders; `server` is delivery's engine."""
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
