"""More calls at once than a server can take up."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import grpc
import pytest
from holdfast.inventory.v1 import inventory_pb2_grpc
from holdfast.inventory.v1 import reservation_pb2 as pb

from tests.inventory_service.client import SHOP, Inventory, lines
from tests.inventory_service.serving import ASLEEP, serving

CHANNELS, CALLS = 4, 3_200


@pytest.mark.usefixtures("inventory")
async def test_a_sudden_burst_is_answered_or_told_why(inventory: Inventory, inventory_url: str) -> None:
    await inventory.create("A", CALLS)
    async with serving(inventory_url, **ASLEEP) as (_, address), AsyncExitStack() as stack:
        stubs = [
            inventory_pb2_grpc.InventoryServiceStub(
                await stack.enter_async_context(
                    grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
                )
            )
            for _ in range(CHANNELS)
        ]

        async def ended(number: int) -> str:
            request = pb.ReserveStockRequest(
                reservation_id=f"r{number}", holder="order:1", lines=lines({"A": 1})
            )
            try:
                await stubs[number % CHANNELS].ReserveStock(request, metadata=SHOP, timeout=30)
            except grpc.aio.AioRpcError as error:
                return error.code().name
            return "OK"

        codes = Counter(await asyncio.gather(*map(ended, range(CALLS))))

    assert set(codes) <= {"OK", "RESOURCE_EXHAUSTED"}
    assert await inventory.levels("A") == (CALLS, codes["OK"], CALLS - codes["OK"])
