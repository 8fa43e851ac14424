"""Requests of random content are answered or refused, never with INTERNAL or UNKNOWN."""

import random
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from holdfast.delivery.v1 import delivery_pb2, delivery_pb2_grpc

from tests.delivery_service.client import DISPATCHER, DRIVER, MERCHANT, SYSTEM, WAREHOUSE, Delivery

ROUNDS = 12
TEXTS = [
    "",
    "1",
    "5",
    "A",
    "0",
    "-1",
    "PG1",
    "x" * 65,
    "x" * 2000,
    "é\u0000",
    "%_'\"\\;--",
    "\U0001f600",
    "9" * 20,
]
NUMBERS = [0, 1, -1, 2, 50, 2**31 - 1, -(2**31)]
BIG_NUMBERS = [*NUMBERS, 2**63 - 1, -(2**63), 10**9, 10**9 + 1]
FAULTS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED}


def random_value(field: Any, chance: random.Random, depth: int) -> Any:
    """A value that the field's type allows."""
    if field.message_type is not None:
        return random_message(GetMessageClass(field.message_type)(), chance, depth + 1)
    if field.enum_type is not None:
        return chance.choice([*field.enum_type.values_by_number, 77])
    if field.type == FieldDescriptor.TYPE_STRING:
        return chance.choice(TEXTS)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return chance.randbytes(chance.choice([0, 1, 100, 70_000]))
    if field.type == FieldDescriptor.TYPE_BOOL:
        return chance.random() < 0.5
    return chance.choice(BIG_NUMBERS if field.type == FieldDescriptor.TYPE_INT64 else NUMBERS)


def random_message(message: Message, chance: random.Random, depth: int = 0) -> Message:
    """Fills some of the message's fields."""
    for field in message.DESCRIPTOR.fields:
        if chance.random() < 0.3 or depth > 3:
            continue
        if field.is_repeated:
            values = [random_value(field, chance, depth) for _ in range(chance.choice([0, 1, 2, 3, 205]))]
            getattr(message, field.name).extend(values)
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(random_value(field, chance, depth))
        else:
            setattr(message, field.name, random_value(field, chance, depth))
    return message


async def call(
    stub: delivery_pb2_grpc.DeliveryServiceStub, method: MethodDescriptor, chance: random.Random
) -> grpc.StatusCode:
    """Calls the method with random content as a random actor."""
    request = GetMessageClass(method.input_type)
    metadata = chance.choice([MERCHANT, WAREHOUSE, DRIVER, DISPATCHER, SYSTEM, ()])
    parts = [random_message(request(), chance) for _ in range(chance.choice([1, 2, 3]))]

    async def stream() -> AsyncIterator[Message]:
        for part in parts:
            yield part

    given: Any = stream() if method.client_streaming else parts[0]
    answer: Any = getattr(stub, method.name)(given, metadata=metadata, timeout=5)
    try:
        if method.server_streaming:
            async for _ in answer:
                pass
        else:
            await answer
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def test_random_requests_never_end_in_a_fault_of_ours(delivery: Delivery) -> None:
    seed = random.randrange(10**9)
    chance = random.Random(seed)
    delivery.inventory.stock["A"] = 10**9
    package = await delivery.create("DRIVER_TO_USER", package_sn="PG1")
    codes: dict[grpc.StatusCode, int] = {}
    methods = delivery_pb2.DESCRIPTOR.services_by_name["DeliveryService"].methods

    for _ in range(ROUNDS):
        for method in methods:
            code = await call(delivery.stub, method, chance)
            assert code not in FAULTS, f"{method.name} with seed {seed}"
            codes[code] = codes.get(code, 0) + 1

    assert codes[grpc.StatusCode.OK] > 0
    assert codes[grpc.StatusCode.INVALID_ARGUMENT] > 0
    assert (await delivery.get(package.package_sn)).package_sn == "PG1"
