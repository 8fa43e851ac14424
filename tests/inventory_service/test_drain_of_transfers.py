"""A server that is told to stop ends imports and exports between two parts; a repeat elsewhere finishes them."""

import asyncio
import time
from collections.abc import AsyncIterator

import grpc
import pytest
from holdfast.inventory.v1 import transfer_pb2 as pb

from servicekit.process.server import Server
from tests.inventory_service.client import SHOP, Inventory, refused
from tests.inventory_service.transfers import bulky_stocks, counts, imported, messages

ROWS = [(f"S{number:04}", 3) for number in range(1700)]


@pytest.mark.parametrize("pause", [3600.0, 0.01])
async def test_an_import_ends_with_draining_and_is_finished_by_another_server(
    inventory: Inventory, second: tuple[Server, Inventory], pause: float
) -> None:
    server, caller = second
    told = asyncio.Event()

    async def rows() -> AsyncIterator[pb.ImportStocksRequest]:
        for number, message in enumerate(messages(ROWS)):
            if number > 700:
                # A message on its way as the answer comes would make gRPC's client forget the answer.
                await asyncio.sleep(max(pause, 0.3) if told.is_set() else pause)
            yield message

    call = caller.stub.ImportStocks(rows(), metadata=SHOP, timeout=30)
    await asyncio.sleep(1)
    began = time.monotonic()
    told.set()
    stopping = asyncio.create_task(server.stop())

    refusal = await refused(call)

    assert (refusal.code, refusal.reason, refusal.retry) == (grpc.StatusCode.UNAVAILABLE, "DRAINING", True)
    assert time.monotonic() - began < 5
    assert await stopping
    assert counts(await imported(inventory, ROWS)) == (1200, 0, 500, 0)


async def test_an_export_ends_with_draining(inventory: Inventory, second: tuple[Server, Inventory]) -> None:
    server, caller = second
    await bulky_stocks(inventory, 2500)
    answers = aiter(caller.stub.ExportStocks(pb.ExportStocksRequest(), metadata=SHOP, timeout=30))
    await anext(answers)
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0.1)

    async def read() -> None:
        async for _ in answers:
            pass

    refusal = await refused(read())

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert await stopping
