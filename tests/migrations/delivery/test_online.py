"""Every revision beside the old application and the service at work; benchmarks/package_migrations.py is longer."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.legacy_packages import add_legacy_packages
from benchmarks.online_migrations import Migrate
from benchmarks.package_migrations import SCHEMA, follow_all, pass_through
from benchmarks.package_traffic import package_traffic
from benchmarks.traffic import held_up_seconds
from delivery_service.contract_steps.verification import differences_from_lists
from servicekit.persistence.engines import create_engine
from tests.delivery_service.client import eventually
from tests.migrations.delivery.legacy import rows

PACKAGES = 600
PAUSE_SECONDS = 0.03
HELD_SECONDS = 4.0
LONGEST_SECONDS = 3.0
"""So long may a revision hold anybody up here, where the other tests share the machine; the benchmark holds it to one
second. What a bystander waits meanwhile is the machine's and does not count."""


@pytest.fixture
async def engine(delivery_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(delivery_url, pool_size=3, for_migrations=True)
    await SCHEMA.upgrade(engine, "0001")
    await add_legacy_packages(engine, PACKAGES)
    yield engine
    await engine.dispose()


def in_a_thread(url: str) -> Migrate:
    """Upgrades with a loop of its own, so that what the revision computes holds no client up."""

    async def upgrade(revision: str) -> None:
        engine = create_engine(url, pool_size=3, for_migrations=True)
        await SCHEMA.upgrade(engine, revision)
        await engine.dispose()

    async def migrate(revision: str) -> None:
        await asyncio.to_thread(asyncio.run, upgrade(revision))

    return migrate


async def test_no_revision_holds_anybody_up_and_every_list_becomes_rows(
    engine: AsyncEngine, delivery_url: str
) -> None:
    async with package_traffic(delivery_url, PACKAGES, PAUSE_SECONDS) as clients:
        passages = await pass_through(clients, in_a_thread(delivery_url), rest_seconds=0.1)
    followed = await follow_all(engine)

    assert await SCHEMA.applied(engine) == SCHEMA.expected
    assert {passage.revision: passage.errors for passage in passages if passage.errors} == {}
    held_up = {passage.revision: held_up_seconds(passage.seen) for passage in passages}
    assert {revision: waited for revision, waited in held_up.items() if waited > LONGEST_SECONDS} == {}
    assert all({"old writer", "reader"} <= set(passage.seen) for passage in passages)
    assert "service" in passages[-1].seen
    assert followed > 0
    async with engine.connect() as connection:
        assert await differences_from_lists(connection) == []
    assert await rows(engine, "SELECT SUM(packages) FROM legacy_write_day") == [(followed,)]


async def test_a_table_in_use_for_long_is_waited_for_in_short_turns(
    engine: AsyncEngine, delivery_url: str
) -> None:
    holder = create_engine(delivery_url, for_migrations=True)
    waiting = (
        "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'ALTER%'"
    )

    async def begun() -> bool:
        return await rows(engine, waiting) != [(0,)]

    async with package_traffic(delivery_url, PACKAGES) as clients, holder.connect() as connection:
        await connection.execute(text("SELECT COUNT(*) FROM tigu_prepare_goods"))
        migration = asyncio.ensure_future(in_a_thread(delivery_url)("0002"))
        await eventually(begun, 60)
        clients.look()
        await asyncio.sleep(HELD_SECONDS)
        assert not migration.done()
        await connection.rollback()
        await migration
        # Who still waits is heard out.
        await asyncio.sleep(0.2)
        seen = clients.look()
    await holder.dispose()

    # Behind an ALTER that waits its turn out, they would have waited as long as the table was held.
    assert held_up_seconds(seen) < HELD_SECONDS / 2
    assert await SCHEMA.applied(engine) == "0002"
