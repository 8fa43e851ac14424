"""Writers and readers of the stock tables while these change beneath them: the old application, and the service."""

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from benchmarks.disk import watched_disk

PAUSE_SECONDS = 0.004

_ONE = "md5('stock' || :n)::uuid"


@dataclass
class Seen:
    """What one kind of client saw since somebody looked last."""

    calls: int = 0
    longest_seconds: float = 0.0
    longest_call: str = ""
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, what: str, seconds: float, error: str = "") -> None:
        """Counts a call in."""
        self.calls += 1
        if seconds > self.longest_seconds:
            self.longest_seconds, self.longest_call = seconds, what
        if error:
            self.errors[error] += 1


WITNESSES = ("bystander", "disk")
"""Who waits for the machine only: a writer of a table that no migration knows, and one of a file."""


@dataclass
class Traffic:
    """Who is at work on a database of `rows` stocks, and what they saw."""

    engine: AsyncEngine
    rows: int
    has_counter: bool = False
    """Whether stock has reserved_quantity by now."""
    has_ledger: bool = False
    """Whether the service can work by now."""
    seen: dict[str, Seen] = field(default_factory=dict)

    def look(self) -> dict[str, Seen]:
        """What was seen since the last look. A call that is still waiting is seen when it ends."""
        seen, self.seen = self.seen, {}
        return seen

    async def call(self, who: str, what: str, work: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        """One transaction, timed from the caller's side."""
        begin = time.perf_counter()
        error = ""
        try:
            async with self.engine.begin() as connection:
                if who == "service":
                    await connection.execute(text("SET LOCAL application_name = 'holdfast'"))
                await work(connection)
        except DBAPIError as failure:
            # One kind of failure, whichever row it is of.
            error = re.sub(r"[0-9a-f-]{36}|\d+", "…", f"{what}: {failure.orig}".splitlines()[0])
        taken = time.perf_counter() - begin
        self.seen.setdefault(who, Seen()).add(what, taken, error)

    async def change(self, dice: random.Random) -> None:
        """One transaction of the old application, in its shapes."""
        n = str(dice.randint(1, self.rows))
        step = dice.choice((1, -1))
        statements: dict[str, tuple[str, dict[str, object]]] = {
            "insert": (
                "INSERT INTO inventory.stock (product_id, size_id, quantity, status, location)"
                " VALUES (gen_random_uuid(), gen_random_uuid(), 3, 'in_stock', 'NEW')",
                {},
            ),
            "insert listed": (
                "INSERT INTO inventory.stock (product_id, size_id, quantity, status)"
                " VALUES (gen_random_uuid(), gen_random_uuid(), 1, 'listed_stockx')",
                {},
            ),
            "quantity": (
                f"UPDATE inventory.stock SET quantity = quantity + :step, updated_at = now()"  # noqa: S608
                f" WHERE id = {_ONE} AND quantity > 4",
                {"n": n, "step": step},
            ),
            "status": (
                f"UPDATE inventory.stock SET status = 'listed_alias' WHERE id = {_ONE} AND status = 'in_stock'",  # noqa: S608
                {"n": n},
            ),
            "place": (f"UPDATE inventory.stock SET location = 'B2' WHERE id = {_ONE}", {"n": n}),  # noqa: S608
        }
        if self.has_counter:
            statements["hold"] = (
                f"UPDATE inventory.stock SET reserved_quantity = COALESCE(reserved_quantity, 0) + 1"  # noqa: S608
                f" WHERE id = {_ONE} AND COALESCE(reserved_quantity, 0) < 2 AND quantity > 4",
                {"n": n},
            )
        what = dice.choice(list(statements))
        statement, values = statements[what]

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(text(statement), values)

        await self.call("old writer", what, work)

    async def move_three(self, dice: random.Random) -> None:
        """A transaction of the old application over several rows, in no order."""
        numbers = [str(dice.randint(1, self.rows)) for _ in range(3)]
        statement = text(f"UPDATE inventory.stock SET location = 'C3' WHERE id = {_ONE}")  # noqa: S608

        async def work(connection: AsyncConnection) -> None:
            for n in numbers:
                await connection.execute(statement, {"n": n})

        await self.call("old writer", "three rows", work)

    async def read(self, dice: random.Random) -> None:
        """One look of the old application."""
        n = str(dice.randint(1, self.rows))
        columns = "id, product_id, quantity, status, location"
        by_id = text(f"SELECT {columns} FROM inventory.stock WHERE id = {_ONE}")  # noqa: S608
        some = text("SELECT id, quantity, status FROM inventory.stock WHERE status = 'in_stock' LIMIT 10")

        async def work(connection: AsyncConnection) -> None:
            (await connection.execute(by_id, {"n": n})).all()
            (await connection.execute(some)).all()

        await self.call("reader", "look", work)

    async def serve(self, dice: random.Random) -> None:
        """One receipt of goods in the shapes of the service, from the revision on that makes it possible."""
        if not self.has_ledger:
            await asyncio.sleep(0.05)
            return
        values = {"n": str(dice.randint(1, self.rows))}

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(
                text(
                    f"UPDATE inventory.stock SET quantity = quantity + 1, version = version + 1 WHERE id = {_ONE}"  # noqa: S608
                ),
                values,
            )
            await connection.execute(
                text(
                    "INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)"
                    f" SELECT now(), {_ONE}, 1, 'RECEIVED', 'benchmark'"
                ),
                values,
            )

        await self.call("service", "receive", work)

    async def stand_by(self, dice: random.Random) -> None:
        """A transaction upon a row that no migration knows: what it waits for is the machine."""
        statement = text("UPDATE public.bystander SET looks = :looks")

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(statement, {"looks": dice.randint(1, 1_000_000)})

        await self.call("bystander", "look", work)


def held_up_seconds(seen: Mapping[str, Seen]) -> float:
    """The longest that anybody waited, beyond the longest wait of the bystander, whom no migration can hold up."""
    return longest_wait(seen) - seen.get("bystander", Seen()).longest_seconds


def longest_wait(seen: Mapping[str, Seen]) -> float:
    """The longest that anybody waited but the witnesses, in seconds."""
    return max((what.longest_seconds for who, what in seen.items() if who not in WITNESSES), default=0.0)


@asynccontextmanager
async def traffic(url: str, rows: int) -> AsyncIterator[Traffic]:
    """Lets two writers, a reader, the service and the witnesses work until the block ends."""
    engine = create_async_engine(
        url, pool_size=7, connect_args={"server_settings": {"application_name": "old-application"}}
    )
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE public.bystander AS SELECT 0 AS looks"))
    clients = Traffic(engine, rows)
    stop = asyncio.Event()

    async def go_on(step: Callable[[random.Random], Awaitable[None]], seed: int) -> None:
        dice = random.Random(seed)
        while not stop.is_set():
            await step(dice)
            await asyncio.sleep(PAUSE_SECONDS)

    steps = (clients.change, clients.move_three, clients.read, clients.serve, clients.stand_by)
    tasks = [asyncio.create_task(go_on(step, seed)) for seed, step in enumerate(steps)]
    try:
        async with watched_disk(lambda seconds: clients.seen.setdefault("disk", Seen()).add("sync", seconds)):
            yield clients
    finally:
        stop.set()
        await asyncio.gather(*tasks)
        await engine.dispose()
