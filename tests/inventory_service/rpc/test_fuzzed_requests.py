"""Whatever a caller sends, the answer is a result or a refusal that says what is wrong."""

import random
from collections.abc import Awaitable
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from holdfast.inventory.v1 import inventory_pb2, reservation_pb2, transfer_pb2

from tests.inventory_service.client import Inventory

SERVICE = inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"]
STREAMS = {"ReserveStockStream", "ImportStocks", "ExportStocks"}
# A request without fields cannot be wrong, so that there is nothing to see in RefreshStockMetrics.
SINGLE = {method.name for method in SERVICE.methods} - STREAMS - {"RefreshStockMetrics"}
ROUNDS = 120

TEXTS = [
    "",
    "A",
    "r1",
    "a b",
    "\x00",
    "ü" * 70,
    "x" * 6000,
    "%",
    "\\",
    "'; --",
    "v1",
    "v99999999999999999999",
]
TEXTS += [
    "123e4567-e89b-12d3-a456-426614174000",
    "1.50",
    "\u2028",
    "1" * 64,
    "\U0001f600",
    "\r\n",
    "null",
    "notes",
    "ask_price",
]
NUMBERS = [0, 1, 2, -1, 5, 200, 1_000_000_000, 1_000_000_001, 2**31 - 1, -(2**31)]
LARGE = [2**63 - 1, -(2**63), 2**62]
ALLOWED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.ABORTED,
}


def an_empty(method: str) -> Message:
    """A request of a method, with nothing set."""
    return GetMessageClass(SERVICE.methods_by_name[method].input_type)()


def fill(message: Message, rng: random.Random, depth: int = 0) -> None:
    """Sets some fields to values that are likely to hurt."""
    for field in message.DESCRIPTOR.fields:
        if rng.random() < 0.35:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            for _ in range(rng.randrange(3)):
                getattr(message, field.name)[rng.choice(TEXTS)] = rng.choice(TEXTS)
        elif field.message_type is not None:
            for _ in range(rng.randrange(4) if field.is_repeated else 1):
                place = getattr(message, field.name)
                fill(place.add() if field.is_repeated else place, rng, depth + 1)
                if not field.is_repeated:
                    place.SetInParent()
        elif field.is_repeated:
            getattr(message, field.name).extend(value(field, rng) for _ in range(rng.randrange(4)))
        else:
            setattr(message, field.name, value(field, rng))


def value(field: Any, rng: random.Random) -> Any:
    """A value of the field's type."""
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return rng.choice(TEXTS)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return rng.random() < 0.5
    if field.cpp_type == FieldDescriptor.CPPTYPE_INT64:
        return rng.choice([*NUMBERS, *LARGE])
    return rng.choice(NUMBERS)


@pytest.mark.parametrize("method", sorted(SINGLE))
async def test_no_request_is_answered_with_an_internal_error(inventory: Inventory, method: str) -> None:
    await inventory.create("A", 50)
    await inventory.reserve("r1", {"A": 2}, ttl=600)
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    seen: set[grpc.StatusCode] = set()

    for _ in range(ROUNDS):
        request = an_empty(method)
        fill(request, rng)
        try:
            await getattr(inventory.stub, method)(request, timeout=10)
            seen.add(grpc.StatusCode.OK)
        except grpc.aio.AioRpcError as error:
            assert error.code() in ALLOWED, (seed, request, error)
            seen.add(error.code())

    assert grpc.StatusCode.INVALID_ARGUMENT in seen


async def test_no_message_of_a_stream_is_answered_with_an_internal_error(inventory: Inventory) -> None:
    await inventory.create("A", 50)
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    requests = [reservation_pb2.ReserveStockStreamRequest() for _ in range(ROUNDS)]
    for request in requests:
        fill(request, rng)

    call = inventory.stub.ReserveStockStream(iter(requests), timeout=30)
    codes = [answer.refusal.code if answer.HasField("refusal") else 0 async for answer in call]

    assert len(codes) == ROUNDS
    assert set(codes) <= {code.value[0] for code in ALLOWED}, seed
    assert grpc.StatusCode.INVALID_ARGUMENT.value[0] in codes


async def test_whatever_an_import_names_each_row_is_counted(inventory: Inventory) -> None:
    await inventory.create("A", 50)
    await inventory.reserve("r1", {"A": 2}, ttl=600)
    seed = random.randrange(2**32)
    rng = random.Random(seed)

    for number in range(8):
        options = transfer_pb2.ImportOptions(import_id=f"i{number}", validate_only=rng.random() < 0.3)
        if rng.random() < 0.5:
            options.update_mask.paths.extend(["notes", "external_ids", "purchase_time"])
        rows = [transfer_pb2.ImportRow() for _ in range(ROUNDS)]
        for row in rows:
            fill(row, rng)
        requests = [transfer_pb2.ImportStocksRequest(options=options)]
        requests += [transfer_pb2.ImportStocksRequest(row=row) for row in rows]

        done = await inventory.stub.ImportStocks(iter(requests), timeout=30)

        counted = done.created_count + done.updated_count + done.unchanged_count + done.refused_count
        assert counted == ROUNDS, seed
        assert done.problem_count >= done.refused_count > 0, seed


async def test_no_message_of_an_import_and_no_export_is_answered_with_an_internal_error(
    inventory: Inventory,
) -> None:
    seed = random.randrange(2**32)
    rng = random.Random(seed)

    async def exported(request: transfer_pb2.ExportStocksRequest) -> None:
        async for _ in inventory.stub.ExportStocks(request, timeout=10):
            pass

    async def code(call: Awaitable[object]) -> grpc.StatusCode:
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    for _ in range(ROUNDS // 2):
        requests = [transfer_pb2.ImportStocksRequest() for _ in range(3)]
        export = transfer_pb2.ExportStocksRequest()
        for message in (*requests, export):
            fill(message, rng)
        assert await code(inventory.stub.ImportStocks(iter(requests), timeout=10)) in ALLOWED, seed
        assert await code(exported(export)) in ALLOWED, seed


async def test_metadata_that_names_no_role_is_refused(inventory: Inventory) -> None:
    before = await inventory.everything()

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await inventory.release("r1", metadata=(("actor-role", "king"), ("actor-id", "1")))

    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert await inventory.everything() == before
