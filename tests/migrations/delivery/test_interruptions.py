"""An upgrade that dies after any statement is run again and arrives; several at once migrate once."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import PendingRollbackError

from benchmarks.legacy_packages import add_legacy_packages
from servicekit.schema.migrations import VERSION_TABLE
from tests.migrations.delivery.legacy import description, migrating, rows
from tests.support.databases import fresh_database
from tests.support.forks import Done, run_command

CHANGES = ("CREATE", "ALTER", "DROP")


class Killed(BaseException):
    """Stands for the end of the process; where a block ends after it, SQLAlchemy says PendingRollbackError."""


def is_change(statement: str) -> bool:
    """Whether a statement changes the schema; the version row is undone by a death before its commit."""
    return statement.lstrip().upper().startswith(CHANGES) and VERSION_TABLE not in statement


async def test_an_upgrade_that_dies_after_each_change_arrives_at_the_same_schema(
    delivery_engine: str, delivery_url: str
) -> None:
    async with fresh_database(delivery_engine) as other, migrating(other) as (schema, engine):
        await schema.upgrade(engine)
        wanted = await description(engine)
    deaths = 0

    def die(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if is_change(statement):
            raise Killed(statement)

    for _ in range(100):
        async with migrating(delivery_url) as (schema, engine):
            event.listen(engine.sync_engine, "after_cursor_execute", die)
            try:
                await schema.upgrade(engine)
            except (Killed, PendingRollbackError):
                deaths += 1
                continue
            break

    async with migrating(delivery_url) as (schema, engine):
        assert await schema.applied(engine) == schema.expected
        assert await description(engine) == wanted
    assert deaths > 25


async def test_an_upgrade_process_that_is_killed_is_run_again(delivery_url: str) -> None:
    killed = await migrate(delivery_url, HOLDFAST_CRASH_AT="migrate.between_steps:40")
    assert killed.code == 137

    again = await migrate(delivery_url)

    assert again.code == 0, again.errors
    async with migrating(delivery_url) as (schema, engine):
        assert await schema.applied(engine) == schema.expected


async def test_several_upgrades_at_once_migrate_once(delivery_url: str) -> None:
    runs = await asyncio.gather(*(migrate(delivery_url) for _ in range(3)))

    assert [run.code for run in runs] == [0, 0, 0], [run.errors for run in runs]
    async with migrating(delivery_url) as (schema, engine):
        assert await schema.applied(engine) == schema.expected


async def test_a_backfill_that_dies_in_a_batch_goes_on_where_it_was(delivery_url: str) -> None:
    mapped = "SELECT COUNT(*), COUNT(DISTINCT prepare_goods_id) FROM tigu_prepare_goods_order"
    left = "SELECT COUNT(*) FROM tigu_prepare_goods WHERE legacy_write_time IS NOT NULL"
    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine, "0001")
        await add_legacy_packages(engine, 450)
        batches = 0

        def die(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            nonlocal batches
            batches += "INSERT INTO tigu_prepare_goods_order" in statement
            if batches == 2:
                batches += 1
                raise Killed

        event.listen(engine.sync_engine, "after_cursor_execute", die)
        with pytest.raises((Killed, PendingRollbackError)):
            await schema.upgrade(engine)
        assert batches == 3

    async with migrating(delivery_url) as (schema, engine):
        # The first batch is there with all that belongs to it, the second one is not.
        ((orders, packages),) = await rows(engine, mapped)
        assert 0 < packages < 450
        assert await rows(engine, left) == [(450 - packages,)]
        assert orders == 3 * packages + (packages - 1) // 100
        shown: list[tuple[str, int | None]] = []

        @contextmanager
        def progress(title: str, total: int | None) -> Iterator[Callable[[int], None]]:
            shown.append((title, total))
            yield lambda done: None

        await schema.upgrade(engine, progress=progress)
        assert shown == [("orders of packages", 450 - packages)]
        assert await rows(engine, mapped) == [(3 * 450 + 4, 450)]
        assert await rows(engine, left) == [(0,)]


async def migrate(url: str, **environment: str) -> Done:
    """`delivery-service migrate upgrade` as a process of its own."""
    return await run_command("delivery", "migrate", "upgrade", DELIVERY_DATABASE_URL=url, **environment)
