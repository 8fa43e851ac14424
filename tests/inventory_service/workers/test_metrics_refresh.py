"""The poller that keeps the metrics view fresh."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from structlog.testing import capture_logs

from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from inventory_service.workers.metrics_refresh import MetricsRefresher, metrics_refresh
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from tests.inventory_service.client import Inventory
from tests.inventory_service.refreshes import (
    calculated_times,
    make_older,
    shown_time,
    stocks_locked,
    until_shown_after,
    until_under_way,
)
from tests.inventory_service.serving import dies_at

Runner = Transactions[SqlUnitOfWork]


@pytest.fixture
async def transactions(inventory_url: str) -> AsyncIterator[Runner]:
    """A runner of the poller's own."""
    engine = create_engine(inventory_url, pool_size=4)
    yield Transactions(engine, SqlUnitOfWork)
    await engine.dispose()


async def polled(
    transactions: Runner, every_seconds: float, *, pollers: int = 1, seconds: float = 0.3
) -> None:
    """Lets pollers run for a while."""
    all_of_them = [
        metrics_refresh(transactions, MetricsRefresher(transactions), every_seconds) for _ in range(pollers)
    ]
    running = [asyncio.create_task(poller.run()) for poller in all_of_them]
    await asyncio.sleep(seconds)
    for poller in all_of_them:
        poller.stop()
    await asyncio.gather(*running)


async def refreshed(inventory: Inventory, transactions: Runner, age: float) -> datetime:
    """Brings the view up to date, then lets it seem so old; the time it then shows."""
    await MetricsRefresher(transactions).refresh()
    await make_older(inventory.engine, age)
    shown = await shown_time(inventory.engine)
    assert shown is not None
    return shown


async def test_a_view_that_is_due_is_refreshed_and_a_fresh_one_is_left(
    inventory: Inventory, transactions: Runner
) -> None:
    await inventory.create("A", 1)
    fresh = await refreshed(inventory, transactions, age=3500)
    await polled(transactions, 3600)
    assert await shown_time(inventory.engine) == fresh

    await make_older(inventory.engine, 200)
    await polled(transactions, 3600)

    shown = await shown_time(inventory.engine)
    assert shown is not None
    assert shown > fresh
    assert await calculated_times(inventory.engine) == {shown}


@pytest.mark.parametrize(
    ("place", "fresh"), [("refresh.before_commit", False), ("refresh.after_commit", True)]
)
async def test_a_view_whose_server_died_is_of_before_or_of_after_and_refreshed_where_it_is_due(
    inventory: Inventory, inventory_url: str, transactions: Runner, place: str, fresh: bool
) -> None:
    await inventory.create("A", 1)
    before = await refreshed(inventory, transactions, age=7000)
    calculated = await calculated_times(inventory.engine)

    await dies_at(inventory_url, place)

    left = await shown_time(inventory.engine)
    assert left is not None and (left > before) is fresh
    assert await calculated_times(inventory.engine) == ({left} if fresh else calculated)
    await polled(transactions, 3600)
    shown = await shown_time(inventory.engine)
    assert shown is not None and shown > before
    assert await calculated_times(inventory.engine) == {shown}


async def test_a_view_of_unknown_age_is_due(inventory: Inventory, transactions: Runner) -> None:
    assert await shown_time(inventory.engine) is None

    await polled(transactions, 3600)

    assert await shown_time(inventory.engine) is not None


async def test_many_replicas_refresh_it_once(inventory: Inventory, transactions: Runner) -> None:
    await inventory.create("A", 1)
    await refreshed(inventory, transactions, age=7000)

    async with stocks_locked(inventory.engine):
        running = asyncio.create_task(polled(transactions, 3600, pollers=4, seconds=0.6))
        await until_under_way(inventory.engine)
        await asyncio.sleep(0.2)
    await running

    async with inventory.engine.connect() as connection:
        written = "SELECT xmin::text::bigint FROM inventory.stock_metrics_refresh"
        by = (await connection.execute(text(written))).scalar_one()
        rows = "SELECT DISTINCT xmin::text::bigint FROM inventory.stock_metrics_view"
        assert (await connection.execute(text(rows))).scalars().all() == [by]


class Overtaken(Runner):
    """A runner that gets no further after its first look until another replica has refreshed the view."""

    other: MetricsRefresher | None

    async def read(self, *arguments: Any, **more: Any) -> Any:
        """Looks, and lets the other go first."""
        seen = await super().read(*arguments, **more)
        if self.other is not None:
            other, self.other = self.other, None
            await other.refresh()
        return seen


async def test_a_view_that_another_replica_refreshed_since_it_was_seen_to_be_due_is_left(
    inventory: Inventory, transactions: Runner, inventory_url: str
) -> None:
    due = await refreshed(inventory, transactions, age=7000)
    engine = create_engine(inventory_url, pool_size=2)
    overtaken = Overtaken(engine, SqlUnitOfWork)
    overtaken.other = MetricsRefresher(transactions)

    with capture_logs() as logs:
        running = asyncio.create_task(polled(overtaken, 3600))
        await until_shown_after(inventory.engine, due)
        by_the_other = await shown_time(inventory.engine)
        await running

    assert overtaken.other is None
    assert [entry["event"] for entry in logs].count("metrics are fresh") == 1
    assert await shown_time(inventory.engine) == by_the_other
    await engine.dispose()


async def test_a_schedule_in_the_database_is_trusted_until_it_fails_twice(
    inventory: Inventory, transactions: Runner
) -> None:
    late = await refreshed(inventory, transactions, age=7000)
    async with inventory.engine.begin() as connection:
        await connection.execute(text("UPDATE inventory.stock_metrics_refresh SET scheduled = true"))
    await polled(transactions, 3600)
    assert await shown_time(inventory.engine) == late

    await make_older(inventory.engine, 300)
    await polled(transactions, 3600)

    shown = await shown_time(inventory.engine)
    assert shown is not None
    assert shown > late


async def test_a_refresh_may_take_longer_than_a_session_lets_statements_take(
    inventory: Inventory, inventory_url: str
) -> None:
    limits = {"server_settings": {"statement_timeout": "300", "lock_timeout": "5000"}}
    engine = create_async_engine(inventory_url, connect_args=limits, isolation_level="READ COMMITTED")
    refresher = MetricsRefresher(Transactions(engine, SqlUnitOfWork))

    async with stocks_locked(inventory.engine):
        under_way = asyncio.create_task(refresher.refresh())
        await asyncio.sleep(0.7)

    assert await under_way == await shown_time(inventory.engine)
    await engine.dispose()


async def test_a_refresh_whose_connection_dies_leaves_the_view_and_is_tried_again(
    inventory: Inventory, transactions: Runner
) -> None:
    due = await refreshed(inventory, transactions, age=7000)
    poller = metrics_refresh(transactions, MetricsRefresher(transactions), 3600)

    async with stocks_locked(inventory.engine):
        running = asyncio.create_task(poller.run())
        await until_under_way(inventory.engine)
        async with inventory.engine.connect() as connection:
            killed = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND query LIKE '%refresh_stock_metrics()%' AND pid <> pg_backend_pid()"
            )
            assert (await connection.execute(text(killed))).scalars().all() == [True]
        await until_under_way(inventory.engine)
        assert await shown_time(inventory.engine) == due

    await until_shown_after(inventory.engine, due)
    poller.stop()
    await running
