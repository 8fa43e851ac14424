"""A server that is told to stop ends its streams, once it has answered what it began."""

import asyncio
import time
from collections.abc import AsyncIterator

import grpc
from holdfast.inventory.v1 import reservation_pb2 as pb
from sqlalchemy import text

from servicekit.process.server import Server
from tests.inventory_service.client import SHOP, Inventory, lines, refused

MOST_SECONDS = 5


def wish(sku: str) -> pb.ReserveStockStreamRequest:
    reserve = pb.ReserveStockRequest(reservation_id=f"r{sku}", holder="order:1", lines=lines({sku: 1}))
    return pb.ReserveStockStreamRequest(correlation_id=sku, reserve=reserve)


async def test_an_open_stream_is_answered_what_it_began_and_ends_with_draining(
    inventory: Inventory, second: tuple[Server, Inventory]
) -> None:
    server, caller = second
    for sku in ("A", "B"):
        await inventory.create(sku, 5)
    stream = caller.stub.ReserveStockStream(metadata=SHOP, timeout=30)
    answers = (answer.correlation_id async for answer in stream)
    await stream.write(wish("A"))
    assert await anext(answers) == "A"

    async with inventory.engine.connect() as blocker:
        await blocker.execute(text("SELECT FROM inventory.stock WHERE sku = 'B' FOR UPDATE"))
        await stream.write(wish("B"))
        await asyncio.sleep(0.2)
        began = time.monotonic()
        stopping = asyncio.create_task(server.stop())
        await asyncio.sleep(0.2)
        await blocker.rollback()

    assert await anext(answers) == "B"
    refusal = await refused(anext(answers))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert refusal.retry
    assert await stopping
    assert time.monotonic() - began < MOST_SECONDS
    assert await inventory.levels("B") == (5, 1, 4)


async def test_a_caller_that_sends_on_learns_of_the_drain_and_can_send_the_rest_elsewhere(
    inventory: Inventory, second: tuple[Server, Inventory]
) -> None:
    server, caller = second
    skus = [f"S{number}" for number in range(600)]
    await inventory.create(skus[0], 5)
    answered = set()

    async def wishes() -> AsyncIterator[pb.ReserveStockStreamRequest]:
        for sku in skus:
            yield wish(sku)
            await asyncio.sleep(0.001)

    stream = caller.stub.ReserveStockStream(wishes(), metadata=SHOP, timeout=30)

    async def read() -> None:
        async for answer in stream:
            answered.add(answer.correlation_id)
            if len(answered) == 20:
                stopping.append(asyncio.create_task(server.stop()))

    stopping: list[asyncio.Task[bool]] = []
    refusal = await refused(read())

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert await stopping[0]
    again = inventory.stub.ReserveStockStream(
        map(wish, sorted({*skus} - answered)), metadata=SHOP, timeout=30
    )
    assert {answer.correlation_id async for answer in again} == {*skus} - answered
