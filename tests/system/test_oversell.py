"""Nothing is sold twice, however many servers and callers want the last unit."""

import asyncio

import grpc
import pytest
from holdfast.inventory.v1 import inventory_pb2_grpc, reservation_pb2
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.services import Pair, ServiceProcess
from tests.support.town import SYSTEM, Town, ids

UNITS, CALLERS = 50, 64


@pytest.mark.parametrize("pair", ["mysql"], indirect=True)
async def test_two_servers_sell_fifty_units_to_sixty_four_callers_exactly_fifty_times(
    pair: Pair, town: Town
) -> None:
    other = pair.another_inventory()
    await other.start()

    for _ in range(5):
        won, lock_waits = await _race(pair, other, await town.stock(UNITS), town)
        if lock_waits:
            break

    assert min(won) > 0, "one server answered nobody"
    assert lock_waits > 0, "nobody waited for anybody: the race was none"
    await other.terminate()


async def _race(pair: Pair, other: ServiceProcess, sku: str, town: Town) -> tuple[tuple[int, int], int]:
    async with pair.channel(pair.inventory) as left, pair.channel(other) as right:
        stubs = [inventory_pb2_grpc.InventoryServiceStub(channel) for channel in (left, right)]
        watch = asyncio.create_task(_lock_waits(pair.inventory_url))
        outcomes = await asyncio.gather(*(_reserve(stubs[n % 2], sku) for n in range(CALLERS)))
        watch.cancel()
        seen = await watch

    won = sum(outcomes[0::2]), sum(outcomes[1::2])
    assert sum(won) == UNITS
    assert await town.levels(sku) == (UNITS, UNITS)
    assert await town.findings() == []
    return won, seen


async def _reserve(stub: "inventory_pb2_grpc.InventoryServiceAsyncStub", sku: str) -> bool:
    request = reservation_pb2.ReserveStockRequest(
        reservation_id=f"R-{next(ids)}",
        holder="sale",
        lines=[reservation_pb2.ReservationLine(sku=sku, quantity=1)],
    )
    try:
        await stub.ReserveStock(request, metadata=SYSTEM, timeout=10)
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION, error
        return False
    return True


async def _lock_waits(url: str) -> int:
    """How often a session was seen waiting for a row lock, until cancelled."""
    seen = 0
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    query = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    try:
        async with engine.connect() as connection:
            while True:
                seen += (await connection.execute(query)).scalar_one()
                await asyncio.sleep(0)
    except asyncio.CancelledError:
        return seen
    finally:
        await engine.dispose()
