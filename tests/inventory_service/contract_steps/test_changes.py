"""What the steps do beside readers and writers of the table stock, and beside the old application."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.persistence.engines import create_engine
from tests.inventory_service.contract_steps.conftest import Contract, let_pass, picture
from tests.migrations.inventory.legacy import STOCKS, execute, rows

ENABLED = "SELECT count(*) FROM pg_trigger WHERE tgname ~ '_(followed|explained)_' AND tgenabled <> 'D'"
KEY = (
    "ALTER TABLE inventory.{0} ADD CONSTRAINT fk_{0}"
    " FOREIGN KEY (stock_id) REFERENCES inventory.stock ON DELETE CASCADE"
)
HOLDS_AGE = (
    "UPDATE inventory.reservation SET create_time = create_time - interval '15 days',"
    " resolve_time = resolve_time - interval '15 days'"
)


@asynccontextmanager
async def reading(url: str, seconds: float | None = None) -> AsyncIterator[None]:
    """Somebody reads the table stock in one transaction for so long, or to the end."""
    engine = create_engine(url, pool_size=1, for_migrations=True)
    has_read, over = asyncio.Event(), asyncio.Event()

    async def read() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT count(*) FROM inventory.stock"))
            has_read.set()
            await (over.wait() if seconds is None else asyncio.sleep(seconds))

    reader = asyncio.create_task(read())
    await has_read.wait()
    yield
    over.set()
    await reader
    await engine.dispose()


@asynccontextmanager
async def writing(url: str) -> AsyncIterator[list[float]]:
    """Somebody changes a stock over and over; gives how long each change took, in seconds."""
    engine = create_engine(url, pool_size=1)
    waits: list[float] = []
    over = asyncio.Event()

    async def write() -> None:
        while not over.is_set():
            began = time.perf_counter()
            await execute(
                engine, "UPDATE inventory.stock SET location = 'B-2' WHERE id = :id", id=STOCKS["d"]
            )
            waits.append(time.perf_counter() - began)
            await asyncio.sleep(0.01)

    writer = asyncio.create_task(write())
    yield waits
    over.set()
    await writer
    await engine.dispose()


@asynccontextmanager
async def old_application(url: str) -> AsyncIterator[AsyncEngine]:
    """Sessions that do not name themselves the service's."""
    engine = create_engine(url, pool_size=1)
    async with engine.begin() as connection:
        await connection.execute(text("SELECT set_config('application_name', 'old', false)"))
    yield engine
    await engine.dispose()


async def test_a_long_reader_of_stock_is_waited_for_in_turns_that_hold_no_writer_up(
    contract: Contract, engine: AsyncEngine, postgres_url: str
) -> None:
    await let_pass(engine, 15)
    for table in ("stock_financial", "stock_metrics"):
        await execute(engine, KEY.format(table))

    async with writing(postgres_url) as waits, reading(postgres_url, seconds=2.5):
        code, printed, _ = await contract("drop-split-tables")

    assert (code, printed.split(":")[0]) == (0, "drop-split-tables")
    assert max(waits) < 1
    assert await rows(engine, "SELECT conname FROM pg_constraint WHERE conname ~ '^fk_stock_(fin|met)'") == []


async def test_a_reader_that_never_ends_leaves_everything_as_it_is(
    contract: Contract, engine: AsyncEngine, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inventory_service.contract_steps.turns.TRIES", 2)
    await let_pass(engine, 15)
    await execute(engine, KEY.format("stock_financial"))
    before = await picture(engine)

    async with reading(postgres_url):
        code, _, why = await contract("drop-split-tables")

    assert (code, await picture(engine)) == (1, before)
    assert "lock timeout" in why


async def test_writers_other_than_the_service_are_followed_until_there_are_none(
    contract: Contract, engine: AsyncEngine
) -> None:
    await let_pass(engine, 15)
    await execute(engine, "DELETE FROM inventory.reservation_line")
    await execute(engine, "DELETE FROM inventory.reservation")
    await execute(
        engine,
        "INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)"
        " VALUES (now(), gen_random_uuid(), 1, 'OTHER', 'legacy')",
    )
    code, _, why = await contract("disable-legacy-triggers")
    assert (code, await rows(engine, ENABLED)) == (1, [(4,)])
    assert "another application than the service changed a quantity" in why
    await execute(engine, "DELETE FROM inventory.stock_movement WHERE actor = 'legacy'")

    assert (await contract("disable-legacy-triggers"))[0] == 0
    assert await rows(engine, ENABLED) == [(0,)]
    assert (await contract("disable-legacy-triggers"))[:2] == (0, "disable-legacy-triggers: nothing to do\n")

    assert (await contract("enable-legacy-triggers"))[0] == 0
    assert await rows(engine, ENABLED) == [(4,)]


async def test_an_old_application_that_only_holds_units_is_followed(
    contract: Contract, engine: AsyncEngine, postgres_url: str
) -> None:
    await let_pass(engine, 15)
    hold = "UPDATE inventory.stock SET reserved_quantity = reserved_quantity + :units WHERE id = :id"
    async with old_application(postgres_url) as old:
        await execute(old, hold, units=1, id=STOCKS["d"])
        await execute(engine, HOLDS_AGE)
        await execute(old, hold, units=1, id=STOCKS["d"])

        code, _, why = await contract("disable-legacy-triggers")
        assert (code, await rows(engine, ENABLED)) == (1, [(4,)])
        assert "units held by another application than the service are still open" in why

        held = await rows(
            engine,
            "SELECT stock_id::text, sum(quantity) FROM inventory.reservation_line JOIN inventory.reservation"
            " USING (reservation_id) WHERE open AND holder = 'legacy' GROUP BY 1",
        )
        for stock, units in held:
            await execute(old, hold, units=-units, id=stock)
    code, _, why = await contract("disable-legacy-triggers")
    assert (code, await rows(engine, ENABLED)) == (1, [(4,)])
    assert "units held by another application than the service ended at" in why

    await execute(engine, HOLDS_AGE)
    assert (await contract("disable-legacy-triggers"))[0] == 0
    assert await rows(engine, ENABLED) == [(0,)]


@pytest.mark.parametrize("index", ["idx_stock_reserved", "idx_stock_status_history"])
async def test_an_index_that_costs_writers_more_than_it_serves_can_go(
    contract: Contract, engine: AsyncEngine, index: str
) -> None:
    definition = f"SELECT pg_get_indexdef(to_regclass('inventory.{index}'))"
    before = await rows(engine, definition)

    code, printed, _ = await contract(f"drop-{index.replace('_', '-')}")

    assert (code, await rows(engine, definition)) == (0, [(None,)])
    await execute(engine, printed.split("have it back: ")[1].replace(" CONCURRENTLY", ""))
    assert await rows(engine, definition) == before
