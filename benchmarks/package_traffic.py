"""Writers and readers of the package tables while these change beneath them: the old application, and the service."""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from benchmarks.disk import watched_disk
from benchmarks.traffic import Seen

PAUSE_SECONDS = 0.004

_OLD = {
    "insert": "INSERT INTO tigu_prepare_goods (prepare_sn, order_ids, delivery_type, shipping_type, prepare_status,"
    " type, shop_id, create_time, update_time) VALUES (:sn, :list, 1, 0, NULL, 0, 7, NOW(), NOW())",
    "move": "UPDATE tigu_prepare_goods SET prepare_status = :status, update_time = NOW() WHERE id = :n",
    "driver": "UPDATE tigu_prepare_goods SET driver_id = :status + 1 WHERE id = :n",
    "list": "UPDATE tigu_prepare_goods SET order_ids = :list WHERE id = :n AND prepare_status IS NULL",
    "order": "UPDATE tigu_order SET shipping_status = :status, update_time = NOW() WHERE id = :n",
}
_LOOK = text("SELECT id, prepare_sn, order_ids, prepare_status FROM tigu_prepare_goods WHERE id = :n")
_LOOK_WITHOUT_LISTS = text("SELECT id, prepare_sn, prepare_status FROM tigu_prepare_goods WHERE id = :n")
_ORDER = text("SELECT id, order_status, shipping_status FROM tigu_order WHERE id = :n")
_PACK = (
    text(
        "INSERT INTO tigu_prepare_goods (prepare_sn, order_ids, delivery_type, shipping_type, prepare_status, type,"
        " shop_id, create_time, update_time, version, stock_state, content_digest)"
        " VALUES (:sn, :n, 1, 0, -1, 0, 7, NOW(), NOW(), 1, 1, 'benchmark')"
    ),
    text("INSERT INTO tigu_prepare_goods_order VALUES (LAST_INSERT_ID(), :n, NULL)"),
    text("INSERT INTO tigu_prepare_goods_item (prepare_id, sku, quantity) VALUES (LAST_INSERT_ID(), 'A', 1)"),
)


@dataclass
class PackageTraffic:
    """Who is at work on a database of `rows` packages, and what they saw."""

    engine: AsyncEngine
    rows: int
    has_orders: bool = False
    """Whether the service can write a package by now."""
    has_marks: bool = False
    """Whether the engine marks the writes of others by now."""
    old_application: bool = True
    seen: dict[str, Seen] = field(default_factory=dict)

    def look(self) -> dict[str, Seen]:
        """What was seen since the last look. A call that is still waiting is seen when it ends."""
        seen, self.seen = self.seen, {}
        return seen

    async def call(
        self, who: str, what: str, statements: tuple[object, ...], values: dict[str, object]
    ) -> None:
        """One transaction, timed from the caller's side."""
        begin = time.perf_counter()
        error = ""
        try:
            async with self.engine.begin() as connection:
                for statement in statements:
                    await connection.execute(statement, values)  # type: ignore[call-overload]
        except DBAPIError as failure:
            error = re.sub(r"\d{2,}", "…", f"{what}: {failure.orig}".splitlines()[0])
        taken = time.perf_counter() - begin
        self.seen.setdefault(who, Seen()).add(what, taken, error)

    async def change(self, dice: random.Random) -> None:
        """One transaction of the old application, in its shapes."""
        if not self.old_application:
            return
        what = dice.choice(list(_OLD))
        n = dice.randint(1, self.rows)
        orders = sorted(dice.sample(range(1, self.rows * 3), 2))
        values = {
            "sn": f"OLD{dice.getrandbits(60)}",
            "n": n,
            "list": f"{orders[0]}, {orders[1]}",
            "status": dice.randint(0, 6),
        }
        await self.call("old writer", what, (text(_OLD[what]),), values)

    async def read(self, dice: random.Random) -> None:
        """One look at a package and an order, of the old application or one that needs no lists any more."""
        look = _LOOK if self.old_application else _LOOK_WITHOUT_LISTS
        await self.call("reader", "look", (look, _ORDER), {"n": dice.randint(1, self.rows)})

    async def serve(self, dice: random.Random) -> None:
        """A package in the shapes of the service, from the revision on that makes it possible."""
        if not (self.has_orders and self.old_application):
            await asyncio.sleep(0.05)
            return
        values = {"sn": f"PG{dice.getrandbits(60)}", "n": dice.randint(1, self.rows)}
        await self.call("service", "pack", _PACK, values)

    async def move(self, dice: random.Random) -> None:
        """A driver in the shape of the service."""
        if not self.has_orders:
            await asyncio.sleep(0.05)
            return
        # The service names the mark of other writers in all that it writes.
        statement = text(
            "UPDATE tigu_prepare_goods SET legacy_write_time = legacy_write_time, claim_time = NOW(6),"
            " version = version + 1 WHERE id = :n"
            if self.has_marks
            else "UPDATE tigu_prepare_goods SET claim_time = NOW(6), version = version + 1 WHERE id = :n"
        )
        await self.call("service", "claim", (statement,), {"n": dice.randint(1, self.rows)})

    async def stand_by(self, dice: random.Random) -> None:
        """A transaction upon a row that no migration knows: what it waits for is the machine."""
        statement = text("UPDATE bystander SET looks = :looks")
        await self.call("bystander", "look", (statement,), {"looks": dice.randint(1, 1_000_000)})


@asynccontextmanager
async def package_traffic(
    url: str, rows: int, pause_seconds: float = PAUSE_SECONDS
) -> AsyncIterator[PackageTraffic]:
    """Lets two writers of the old application, a reader, the service and the witnesses work until the block ends.

    Each pauses for so long between two calls.
    """
    engine = create_async_engine(url, pool_size=7, isolation_level="READ COMMITTED")
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE bystander (looks INT PRIMARY KEY)"))
        await connection.execute(text("INSERT INTO bystander VALUES (0)"))
    clients = PackageTraffic(engine, rows)
    stop = asyncio.Event()

    async def go_on(step: Callable[[random.Random], Awaitable[None]], seed: int) -> None:
        dice = random.Random(seed)
        while not stop.is_set():
            await step(dice)
            await asyncio.sleep(pause_seconds)

    steps = (
        clients.change,
        clients.change,
        clients.read,
        clients.serve,
        clients.move,
        clients.stand_by,
    )
    tasks = [asyncio.create_task(go_on(step, seed)) for seed, step in enumerate(steps)]
    try:
        async with watched_disk(lambda seconds: clients.seen.setdefault("disk", Seen()).add("sync", seconds)):
            yield clients
    finally:
        stop.set()
        await asyncio.gather(*tasks)
        await engine.dispose()
