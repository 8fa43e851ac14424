"""RefreshStockMetrics: one at a time, beside the view's readers, within the caller's time."""

import asyncio
from datetime import UTC, datetime

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from holdfast.inventory.v1 import reports_pb2 as pb
from sqlalchemy import text

from tests.inventory_service.client import Inventory, refused
from tests.inventory_service.refreshes import (
    calculated_times,
    refreshes_under_way,
    shown_time,
    stocks_locked,
    until_shown_after,
    until_under_way,
)
from tests.inventory_service.serving import channel_to


async def refresh(inventory: Inventory, seconds: float = 10) -> datetime:
    """RefreshStockMetrics."""
    answer = await inventory.stub.RefreshStockMetrics(pb.RefreshStockMetricsRequest(), timeout=seconds)
    return utc(answer.refresh_time)


def utc(timestamp: Timestamp) -> datetime:
    """The instant."""
    return timestamp.ToDatetime(tzinfo=UTC)


async def test_the_time_is_that_of_every_row(inventory: Inventory) -> None:
    await inventory.create("A", 1)
    await inventory.create("B", 1)

    first = await refresh(inventory)
    assert await calculated_times(inventory.engine) == {first}
    second = await refresh(inventory)

    assert first < second
    assert await calculated_times(inventory.engine) == {second}
    assert await shown_time(inventory.engine) == second


async def test_readers_go_on_while_a_refresh_takes_its_time(inventory: Inventory) -> None:
    await inventory.create("A", 1)
    before = await refresh(inventory)

    async with stocks_locked(inventory.engine):
        under_way = asyncio.create_task(refresh(inventory))
        await until_under_way(inventory.engine)
        # A reader that had to wait would wait for ever: the refresh cannot end as long as the stocks are locked.
        for _ in range(5):
            found = await inventory.stub.ListStockMetrics(pb.ListStockMetricsRequest(), timeout=10)
            sums = await inventory.stub.GetInventorySummary(pb.GetInventorySummaryRequest(), timeout=10)
            assert utc(found.refresh_time) == utc(sums.refresh_time) == before
        assert not under_way.done()

    assert await under_way > before


async def test_callers_that_meet_a_refresh_get_its_time(pair: tuple[Inventory, Inventory]) -> None:
    first, second = pair
    await first.create("A", 1)
    before = await refresh(first)

    async with stocks_locked(first.engine):
        leader = asyncio.create_task(refresh(first))
        await until_under_way(first.engine)
        followers = [asyncio.create_task(refresh(caller)) for caller in (first, second, first, second)]
        await asyncio.sleep(0.3)
        assert await refreshes_under_way(first.engine) == 1

    times = {await leader, *await asyncio.gather(*followers)}
    assert len(times) == 1
    assert min(times) > before
    assert await calculated_times(first.engine) == times


async def test_a_caller_whose_time_is_over_leaves_the_refresh_to_go_on(inventory: Inventory) -> None:
    await inventory.create("A", 1)
    before = await refresh(inventory)

    async with stocks_locked(inventory.engine):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await refresh(inventory, seconds=0.3)
        assert await refreshes_under_way(inventory.engine) == 1

    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await until_shown_after(inventory.engine, before)


async def test_a_drain_cuts_a_refresh_short_and_leaves_the_view_as_it_was(
    inventory: Inventory, inventory_url: str
) -> None:
    await inventory.create("A", 1)
    before = await refresh(inventory)

    async with (
        channel_to(inventory_url, metrics_refresh_seconds=0) as (server, channel),
        stocks_locked(inventory.engine),
    ):
        caller = asyncio.create_task(refused(refresh(Inventory(channel, inventory.engine))))
        await until_under_way(inventory.engine)
        clean = await server.stop()
        refusal = await caller
        await until_under_way(inventory.engine, 0)

    assert (clean, refusal.code, refusal.reason) == (True, grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert await shown_time(inventory.engine) == before


async def test_what_the_seeds_function_refreshes_is_dated_too(inventory: Inventory) -> None:
    await inventory.create("A", 1)
    before = await refresh(inventory)

    async with inventory.engine.begin() as connection:
        await connection.execute(text("SELECT inventory.refresh_stock_metrics()"))

    shown = await shown_time(inventory.engine)
    assert shown is not None
    assert shown > before
    assert await calculated_times(inventory.engine) == {shown}
