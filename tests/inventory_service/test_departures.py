"""Callers that leave in mid-call, and rows that others keep locked."""

import asyncio

import grpc
import pytest
from holdfast.inventory.v1 import movement_pb2
from holdfast.inventory.v1 import reservation_pb2 as pb
from sqlalchemy import text

from tests.inventory_service.client import SHOP, Inventory, lines

LOCK = text("SELECT FROM inventory.stock WHERE sku = 'A' FOR UPDATE")


async def test_a_caller_that_leaves_does_not_stop_what_it_began(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    request = movement_pb2.AdjustStockRequest(
        sku="A", delta=2, reason=movement_pb2.MOVEMENT_REASON_RECEIVED, request_id="q1"
    )
    async with inventory.engine.connect() as blocker:
        await blocker.execute(LOCK)
        call = inventory.stub.AdjustStock(request, metadata=SHOP, timeout=10)
        await asyncio.sleep(0.2)

        call.cancel()
        await asyncio.sleep(0.1)
        await blocker.rollback()

    for _ in range(100):
        if (await inventory.levels("A"))[0] != 5:
            break
        await asyncio.sleep(0.05)
    assert await inventory.levels("A") == (7, 0, 7)


async def test_a_wish_whose_caller_has_left_is_not_kept_for_a_locked_stock(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    request = pb.ReserveStockRequest(reservation_id="r1", holder="order:1", lines=lines({"A": 2}))
    async with inventory.engine.connect() as blocker:
        await blocker.execute(LOCK)
        call = inventory.stub.ReserveStock(request, metadata=SHOP, timeout=10)
        await asyncio.sleep(0.2)
        call.cancel()
        await asyncio.sleep(0.8)
        await blocker.rollback()

    await asyncio.sleep(0.3)
    assert await inventory.levels("A") == (5, 0, 5)
    assert (await inventory.reserve("r1", {"A": 2})).reservation_id == "r1"
    assert await inventory.levels("A") == (5, 2, 3)


async def test_a_deadline_that_passes_leaves_no_lock_behind(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    async with inventory.engine.connect() as blocker:
        await blocker.execute(LOCK)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            request = pb.ReserveStockRequest(reservation_id="r1", holder="order:1", lines=lines({"A": 2}))
            await inventory.stub.ReserveStock(request, metadata=SHOP, timeout=0.5)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await blocker.rollback()

    await asyncio.sleep(0.3)
    async with inventory.engine.connect() as other:
        await other.execute(text("SELECT FROM inventory.stock WHERE sku = 'A' FOR UPDATE NOWAIT"))
    # The outcome was unknown to the caller; a repeat settles it, once.
    await inventory.reserve("r1", {"A": 2})
    assert await inventory.levels("A") == (5, 2, 3)


async def test_cancellations_at_any_moment_lose_nothing_and_double_nothing(inventory: Inventory) -> None:
    await inventory.create("A", 1000)
    for index in range(120):
        request = pb.ReserveStockRequest(reservation_id=f"r{index}", holder="order:1", lines=lines({"A": 1}))
        call = inventory.stub.ReserveStock(request, metadata=SHOP, timeout=10)
        await asyncio.sleep(index % 12 / 1000)
        call.cancel()

    held = await asyncio.gather(*(inventory.reserve(f"r{index}", {"A": 1}) for index in range(120)))

    assert all(made.state == pb.RESERVATION_STATE_HELD for made in held)
    assert await inventory.levels("A") == (1000, 120, 880)
