"""The channels of the client's side, against real servers that refuse, hang and go away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from holdfast import client
from holdfast.inventory.v1 import inventory_pb2_grpc, reservation_pb2, stock_pb2, transfer_pb2

from tests.client.shaky import Shaky, serving
from tests.servicekit.waiting import until

Call = Callable[[str, str, Message], Awaitable[Any]]
TEA = stock_pb2.CreateStockRequest(sku="TEA-500", quantity=1)
REPEATED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)


async def by_asyncio(address: str, method: str, request: Message) -> Any:
    async with client.aio_channel(address) as channel:
        return await getattr(inventory_pb2_grpc.InventoryServiceStub(channel), method)(request)


async def by_threads(address: str, method: str, request: Message) -> Any:
    def call() -> Any:
        with client.channel(address) as channel:
            return getattr(inventory_pb2_grpc.InventoryServiceStub(channel), method)(request)

    return await asyncio.to_thread(call)


@pytest.fixture(params=[by_asyncio, by_threads])
def call(request: pytest.FixtureRequest) -> Call:
    """One call of InventoryService over a channel of its own."""
    chosen: Call = request.param
    return chosen


def request_ids(asked: list[Any]) -> set[str]:
    return {request.request_id for request in asked}


@pytest.mark.parametrize("code", REPEATED)
async def test_a_call_that_two_servers_turned_away_is_answered_by_the_third_under_one_id(
    call: Call, code: grpc.StatusCode
) -> None:
    shaky = Shaky(refusals=2, code=code)
    async with serving(shaky) as address:
        answer = await call(address, "CreateStock", TEA)

    assert answer.stock.sku == "TEA-500"
    assert len(shaky.asked) == 3
    (only,) = request_ids(shaky.asked)
    assert len(only) == 36


async def test_after_four_tries_the_caller_is_told(call: Call) -> None:
    shaky = Shaky(refusals=9)
    async with serving(shaky) as address:
        with pytest.raises(grpc.RpcError) as told:
            await call(address, "CreateStock", TEA)

    error: Any = told.value
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert len(shaky.asked) == 4


@pytest.mark.parametrize(
    "code", [code for code in grpc.StatusCode if code not in (grpc.StatusCode.OK, *REPEATED)]
)
async def test_what_another_try_does_not_better_is_told_at_once(call: Call, code: grpc.StatusCode) -> None:
    shaky = Shaky(refusals=9, code=code)
    async with serving(shaky) as address:
        with pytest.raises(grpc.RpcError) as told:
            await call(address, "CreateStock", TEA)

    error: Any = told.value
    assert error.code() is code
    assert len(shaky.asked) == 1


async def test_a_caller_keeps_the_request_id_that_he_gave(call: Call) -> None:
    shaky = Shaky()
    async with serving(shaky) as address:
        await call(address, "CreateStock", stock_pb2.CreateStockRequest(sku="TEA-500", request_id="mine"))

    assert request_ids(shaky.asked) == {"mine"}


async def test_two_calls_with_one_message_are_two_calls_and_the_message_stays_as_it_was(call: Call) -> None:
    shaky = Shaky()
    async with serving(shaky) as address:
        await call(address, "CreateStock", TEA)
        await call(address, "CreateStock", TEA)

    assert len(request_ids(shaky.asked)) == 2
    assert TEA.request_id == ""


async def test_a_reservation_is_protected_by_its_own_id(call: Call) -> None:
    shaky = Shaky(refusals=1)
    async with serving(shaky) as address:
        await call(address, "ReserveStock", reservation_pb2.ReserveStockRequest(reservation_id="R1"))

    assert len(shaky.asked) == 2
    assert request_ids(shaky.asked) == {""}


async def test_each_try_has_what_is_left_of_the_deadline_of_its_method(call: Call) -> None:
    shaky = Shaky(refusals=2)
    async with serving(shaky) as address:
        await call(address, "CreateStock", TEA)

    assert len(shaky.left) == 3
    assert min(shaky.left) > 8 and max(shaky.left) < 10.1


async def test_a_caller_may_give_it_another_one() -> None:
    shaky = Shaky(hangs=True)
    async with serving(shaky) as address, client.aio_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as told:
            await inventory_pb2_grpc.InventoryServiceStub(channel).CreateStock(TEA, timeout=0.2)

    assert told.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert len(shaky.asked) == 1


async def test_a_caller_that_leaves_is_gone() -> None:
    shaky = Shaky(hangs=True)
    async with serving(shaky) as address, client.aio_channel(address) as channel:
        call = inventory_pb2_grpc.InventoryServiceStub(channel).CreateStock(TEA)
        await until(lambda: len(shaky.asked) == 1)
        call.cancel()
        await asyncio.sleep(0.5)

    assert len(shaky.asked) == 1


async def test_options_of_the_caller_win() -> None:
    shaky = Shaky(refusals=9)
    options = [("grpc.service_config", "{}")]
    async with serving(shaky) as address, client.aio_channel(address, options=options) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await inventory_pb2_grpc.InventoryServiceStub(channel).CreateStock(TEA)

    assert len(shaky.asked) == 1


async def test_a_stream_is_begun_anew_by_its_caller_only() -> None:
    shaky = Shaky(refusals=1)
    async with serving(shaky) as address, client.aio_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await (
                inventory_pb2_grpc.InventoryServiceStub(channel)
                .ExportStocks(transfer_pb2.ExportStocksRequest())
                .read()
            )

    assert len(shaky.asked) == 1


async def test_calls_go_to_every_address_in_turn_and_past_one_that_is_gone() -> None:
    here, there = Shaky(), Shaky()
    async with serving(here) as first:
        async with serving(there) as second:
            ports = [address.rpartition(":")[2] for address in (first, second)]
            channel = client.aio_channel("ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports))
            stub = inventory_pb2_grpc.InventoryServiceStub(channel)
            async with asyncio.timeout(10):
                while not (here.asked and there.asked):
                    await stub.CreateStock(TEA)
            before = len(here.asked), len(there.asked)
            for _ in range(20):
                await stub.CreateStock(TEA)
            shares = len(here.asked) - before[0], len(there.asked) - before[1]
        for _ in range(20):
            await stub.CreateStock(TEA)
        await channel.close()

    assert shares == (10, 10)
