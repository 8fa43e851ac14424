"""An upgrade that dies after any statement is run again and arrives; several at once migrate once."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import PendingRollbackError

from servicekit.migrations import VERSION_TABLE
from tests.migrations.delivery.legacy import description, migrating, rows, write_legacy, write_order
from tests.support.databases import fresh_database

ROOT = Path(__file__).resolve().parents[3]
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
    assert killed.returncode == 137

    again = await migrate(delivery_url)

    assert again.returncode == 0, again.stderr
    async with migrating(delivery_url) as (schema, engine):
        assert await schema.applied(engine) == schema.expected


async def test_several_upgrades_at_once_migrate_once(delivery_url: str) -> None:
    runs = await asyncio.gather(*(migrate(delivery_url) for _ in range(3)))

    assert [run.returncode for run in runs] == [0, 0, 0], [run.stderr for run in runs]
    async with migrating(delivery_url) as (schema, engine):
        assert await schema.applied(engine) == schema.expected


async def test_a_backfill_that_dies_between_rows_goes_on_where_it_was(delivery_url: str) -> None:
    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine, "0004")
        for number in range(1, 8):
            await write_order(engine, number)
            await write_legacy(engine, number, f"{number}")
        inserted = 0

        def die(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            nonlocal inserted
            inserted += "INSERT INTO tigu_prepare_goods_order" in statement
            if inserted == 4:
                inserted += 1
                raise Killed

        event.listen(engine.sync_engine, "after_cursor_execute", die)
        with pytest.raises((Killed, PendingRollbackError)):
            await schema.upgrade(engine)
        event.remove(engine.sync_engine, "after_cursor_execute", die)
        await write_legacy(engine, 8, "1,2")

    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine)
        mapped = await rows(
            engine,
            "SELECT prepare_goods_id, order_id, active_leg FROM tigu_prepare_goods_order ORDER BY 1, 2",
        )
    assert mapped == [(number, number, 0) for number in range(1, 8)] + [(8, 1, None), (8, 2, None)]


async def migrate(url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`delivery-service migrate upgrade` as a process of its own."""
    given = {
        "DELIVERY_DATABASE_URL": url,
        "DELIVERY_INVENTORY_ADDRESS": "unused:1",
        "DELIVERY_EVIDENCE_URL": "/unused",
    }
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "delivery_service", "migrate", "upgrade"],
        cwd=ROOT,
        env={**os.environ, **given, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
