"""Every revision beside the old application and the service at work; benchmarks/online_migrations.py is longer."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.legacy_stocks import add_legacy_stocks
from benchmarks.online_migrations import Migrate, pass_through, unaccounted
from benchmarks.traffic import held_up_seconds, traffic
from servicekit.persistence.engines import create_engine
from tests.migrations.inventory.legacy import HEAD, SCHEMA, rows
from tests.migrations.inventory.soundness import assert_sound

STOCKS = 6000
LONGEST_SECONDS = 1.0
"""So long may a revision hold anybody up. What a bystander waits meanwhile is the machine's and does not count."""


def in_a_thread(url: str, *, holding_up: bool = False) -> Migrate:
    """Upgrades with a loop of its own, so that what the revision computes holds no client up."""

    async def upgrade(revision: str) -> None:
        engine = create_engine(url, pool_size=3, for_migrations=True)
        await SCHEMA.upgrade(engine, revision)
        if holding_up:
            async with engine.begin() as connection:
                await connection.execute(text("LOCK TABLE inventory.stock IN ACCESS EXCLUSIVE MODE"))
                await asyncio.sleep(2 * LONGEST_SECONDS)
        await engine.dispose()

    async def migrate(revision: str) -> None:
        await asyncio.to_thread(asyncio.run, upgrade(revision))

    return migrate


async def test_no_revision_holds_anybody_up_or_loses_count_of_a_unit(
    engine: AsyncEngine, postgres_url: str
) -> None:
    await SCHEMA.upgrade(engine, "0001")
    await add_legacy_stocks(engine, STOCKS)

    async with traffic(postgres_url, STOCKS) as clients:
        passages = await pass_through(clients, in_a_thread(postgres_url), rest_seconds=0.1)

    assert await SCHEMA.applied(engine) == HEAD
    assert {passage.revision: passage.errors for passage in passages if passage.errors} == {}
    held_up = {passage.revision: held_up_seconds(passage.seen) for passage in passages}
    assert {revision: waited for revision, waited in held_up.items() if waited > LONGEST_SECONDS} == {}
    assert all({"old writer", "reader"} <= set(passage.seen) for passage in passages)
    assert await unaccounted(engine) == {"quantities": 0, "held units": 0}
    past = await rows(engine, "SELECT count(*) FROM inventory.stock_movement WHERE actor = 'legacy'")
    assert past > [(0,)]
    await assert_sound(engine)


async def test_a_revision_that_held_everybody_up_would_be_seen(
    engine: AsyncEngine, postgres_url: str
) -> None:
    await SCHEMA.upgrade(engine, "0001")
    await add_legacy_stocks(engine, 20)
    migrate = in_a_thread(postgres_url, holding_up=True)

    async with traffic(postgres_url, 20) as clients:
        clients.look()
        await migrate("0002")
        await asyncio.sleep(0.2)
        seen = clients.look()

    for client in ("old writer", "reader"):
        assert held_up_seconds({client: seen[client], "bystander": seen["bystander"]}) > LONGEST_SECONDS


async def test_a_table_in_use_for_long_is_waited_for_in_short_turns(
    engine: AsyncEngine, postgres_url: str
) -> None:
    await SCHEMA.upgrade(engine, "0001")
    await add_legacy_stocks(engine, 20)
    holder = create_engine(postgres_url)

    async with traffic(postgres_url, 20) as clients, holder.connect() as connection:
        await connection.execute(text("SELECT count(*) FROM inventory.stock"))
        migration = asyncio.ensure_future(in_a_thread(postgres_url)("0002"))
        await asyncio.sleep(3)
        assert not migration.done()
        seen = clients.look()
        await connection.rollback()
        await migration
    await holder.dispose()

    assert held_up_seconds(seen) < LONGEST_SECONDS
    assert seen["old writer"].calls > 10


async def test_every_rewrite_of_rows_shows_how_far_it_is(engine: AsyncEngine) -> None:
    await SCHEMA.upgrade(engine, "0001")
    await add_legacy_stocks(engine, 2400)
    totals: dict[str, int | None] = {}
    done: dict[str, list[int]] = {}

    @contextmanager
    def progress(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
        totals[title] = total
        yield done.setdefault(title, []).append

    await SCHEMA.upgrade(engine, progress=progress)

    assert totals == {
        "taken over from the split tables": 2400,
        "sku filled": 2400,
        "statuses translated": 600,
        "listings and histories read": 2400,
        "held units explained": 300,
        "stocks opened": 2400,
    }
    assert {title: sum(parts) for title, parts in done.items()} == totals
    assert done["sku filled"] == [1000, 1000, 400]
