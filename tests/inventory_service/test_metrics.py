"""Each of inventory's own figures, moved by what it counts, on a real Postgres."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from holdfast.inventory.v1 import reports_pb2
from sqlalchemy import text

from tests.inventory_service.client import Inventory
from tests.inventory_service.ledger import without_next_month
from tests.inventory_service.serving import ASLEEP, channel_to
from tests.support.scrapes import scrape, scraped
from tests.support.services import free_port

BATCHES = "holdfast_group_commit_batch"


@dataclass
class Observed:
    """A server, and where Prometheus reads of it."""

    inventory: Inventory
    listen: str


@pytest.fixture
async def observed(inventory: Inventory, inventory_url: str) -> AsyncIterator[Observed]:
    """One that looks at itself all the time, on the books of `inventory`."""
    async with observing(inventory, inventory_url) as found:
        yield found


@asynccontextmanager
async def observing(inventory: Inventory, url: str, **settings: int) -> AsyncIterator[Observed]:
    listen = f"127.0.0.1:{free_port()}"
    settings_of_all = ASLEEP | settings | {"metrics_listen": listen, "diagnose_seconds": 0.05}
    async with channel_to(url, **settings_of_all) as (_, channel):
        yield Observed(Inventory(channel, inventory.engine), listen)


@asynccontextmanager
async def locked(inventory: Inventory, sku: str) -> AsyncIterator[None]:
    """Somebody else has the row of a stock in hand."""
    async with inventory.engine.begin() as connection:
        await connection.execute(
            text("SELECT FROM inventory.stock WHERE sku = :sku FOR UPDATE"), {"sku": sku}
        )
        yield


async def test_batches_are_counted_with_their_sizes_and_times(observed: Observed) -> None:
    inventory = observed.inventory
    await inventory.create("A", 100)
    before = await scrape(observed.listen)
    await inventory.reserve("r0", {"A": 1})
    alone = await scrape(observed.listen)
    await asyncio.gather(*(inventory.reserve(f"r{number}", {"A": 1}) for number in range(1, 21)))
    after = await scrape(observed.listen)

    def grown(name: str, since: dict[str, float], until: dict[str, float]) -> float:
        return until[name] - since[name]

    assert (
        grown(f"{BATCHES}_wishes_sum", before, alone) == grown(f"{BATCHES}_wishes_count", before, alone) == 1
    )
    assert 0 < grown(f"{BATCHES}_seconds_sum", before, alone) < 2
    assert grown(f"{BATCHES}_wishes_sum", alone, after) == 20
    assert 1 <= grown(f"{BATCHES}_wishes_count", alone, after) < 20
    assert grown(f"{BATCHES}_seconds_count", alone, after) == grown(f"{BATCHES}_wishes_count", alone, after)
    assert grown("holdfast_group_commit_wait_seconds_count", alone, after) == 20
    assert grown("holdfast_group_commit_wait_seconds_sum", alone, after) > 0


async def test_wishes_that_wait_for_a_batch_are_counted(observed: Observed) -> None:
    inventory = observed.inventory
    for sku in ("A", "B"):
        await inventory.create(sku, 100)
    assert (await scrape(observed.listen))["holdfast_group_commit_queue_length"] == 0
    waiting = []
    async with locked(inventory, "A"):
        # A batch waits for a moment for what somebody has in hand; others arrive meanwhile.
        async def keep_arriving() -> None:
            for number in range(200):
                waiting.append(asyncio.create_task(inventory.reserve(f"a{number}", {"A": 1})))
                await asyncio.sleep(0.05)

        arriving = asyncio.create_task(keep_arriving())
        await scraped(observed.listen, lambda found: found["holdfast_group_commit_queue_length"] >= 1)
        arriving.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)

    assert (await scrape(observed.listen))["holdfast_group_commit_queue_length"] == 0


async def test_connections_in_use_and_work_that_waits_for_one_are_told(
    inventory: Inventory, inventory_url: str
) -> None:
    await inventory.create("A", 100)
    async with observing(inventory, inventory_url, pool_size=1) as observed:
        async with locked(inventory, "A"):
            # Each gives up in time, and the next one takes its place.
            work = [asyncio.create_task(observed.inventory.adjust("A", 1, f"a{n}")) for n in range(5)]
            used = await scraped(
                observed.listen,
                lambda found: found["holdfast_pool_waiting"] and found["holdfast_pool_connections_in_use"],
            )
        await asyncio.gather(*work, return_exceptions=True)

    assert (used["holdfast_pool_connections_max"], used["holdfast_pool_connections_in_use"]) == (1, 1)


async def test_open_holds_and_the_oldest_that_is_due_are_told(observed: Observed) -> None:
    inventory = observed.inventory
    await inventory.create("A", 100)
    none = await scraped(observed.listen, lambda found: found.get("holdfast_open_holds") == 0)
    for sku in ("B", "C"):
        await inventory.create(sku, 100)
    # Its lines are never two: holds are counted.
    await inventory.reserve("r1", {"A": 1, "B": 2, "C": 3}, ttl=3600)
    await inventory.reserve("r2", {"A": 1})
    await inventory.reserve("r3", {"A": 1})
    await inventory.commit("r3")
    await scraped(observed.listen, lambda found: found["holdfast_open_holds"] == 2)
    await inventory.let_expire("r1", seconds_ago=600)
    due = await scraped(observed.listen, lambda found: found["holdfast_due_hold_age_seconds"])
    await inventory.release("r1")
    await inventory.release("r2")
    await scraped(observed.listen, lambda found: found["holdfast_open_holds"] == 0)

    assert none["holdfast_due_hold_age_seconds"] == 0
    assert 600 <= due["holdfast_due_hold_age_seconds"] < 630


async def test_the_age_of_the_view_is_told_once_it_has_one(observed: Observed) -> None:
    never = await scraped(observed.listen, lambda found: "holdfast_open_holds" in found)
    await observed.inventory.stub.RefreshStockMetrics(reports_pb2.RefreshStockMetricsRequest(), timeout=10)
    fresh = await scraped(observed.listen, lambda found: "holdfast_metrics_view_age_seconds" in found)
    older = text(
        "UPDATE inventory.stock_metrics_refresh SET refresh_time = refresh_time - interval '5 hours'"
    )
    async with observed.inventory.engine.begin() as connection:
        await connection.execute(older)
    await scraped(observed.listen, lambda found: found["holdfast_metrics_view_age_seconds"] > 18_000)

    assert "holdfast_metrics_view_age_seconds" not in never
    assert 0 <= fresh["holdfast_metrics_view_age_seconds"] < 30


async def test_a_month_without_a_partition_is_counted(observed: Observed) -> None:
    inventory = observed.inventory
    await scraped(observed.listen, lambda found: found.get("holdfast_ledger_months_missing") == 0)
    async with without_next_month(inventory.engine):
        await scraped(observed.listen, lambda found: found["holdfast_ledger_months_missing"] == 1)
    await scraped(observed.listen, lambda found: found["holdfast_ledger_months_missing"] == 0)
