"""What callers of inventory do, over one channel."""

import itertools
import os
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from holdfast.inventory.v1 import inventory_pb2_grpc
from holdfast.inventory.v1 import reservation_pb2 as pb

from benchmarks.bench import bodies
from benchmarks.bench.loops import Step
from benchmarks.bench.wishes import ANY_SKU

CALLER = (("actor-role", "system"), ("actor-id", "bench"))
SECONDS = 10.0
AHEAD = 16

Wish = Mapping[str, Any]
Kind = Callable[[Wish], AbstractAsyncContextManager[Step]]
_prefix = f"p{os.getpid()}-{os.urandom(4).hex()}-"
_numbers = itertools.count(1)


def new_id() -> str:
    """A reservation_id that nobody had."""
    return f"{_prefix}{next(_numbers)}"


@asynccontextmanager
async def channel_to(wish: Wish) -> AsyncIterator[grpc.aio.Channel]:
    """A channel that is connected."""
    async with grpc.aio.insecure_channel(wish["address"]) as channel:
        await channel.channel_ready()
        yield channel


def skus(wish: Wish) -> Callable[[], str]:
    """One sku, or any of S1 … S`stocks`."""
    dice = random.Random()
    if wish["sku"] != ANY_SKU:
        return lambda: str(wish["sku"])
    return lambda: f"S{dice.randrange(wish['stocks']) + 1}"


@asynccontextmanager
async def empty(wish: Wish) -> AsyncIterator[Step]:
    """The call that does nothing."""
    async with channel_to(wish) as channel:
        call: Any = channel.unary_unary(
            "/holdfast.bench.v1.BenchService/Empty",
            request_serializer=Empty.SerializeToString,
            response_deserializer=Empty.FromString,
        )

        async def step(_: int) -> int:
            await call(Empty(), metadata=CALLER, timeout=SECONDS)
            return 1

        yield step


@asynccontextmanager
async def reserve(wish: Wish) -> AsyncIterator[Step]:
    """One unit, held."""
    async with channel_to(wish) as channel:
        stub, sku = inventory_pb2_grpc.InventoryServiceStub(channel), skus(wish)

        async def step(_: int) -> int:
            await stub.ReserveStock(bodies.reserve([sku()], new_id()), metadata=CALLER, timeout=SECONDS)
            return 1

        yield step


@asynccontextmanager
async def stream(wish: Wish) -> AsyncIterator[Step]:
    """A stream of reservations, so many of them unanswered at a time."""
    async with channel_to(wish) as channel:
        stub, sku = inventory_pb2_grpc.InventoryServiceStub(channel), skus(wish)

        async def step(_: int) -> int:
            calls = stub.ReserveStockStream(metadata=CALLER)
            for number in range(wish["messages"] + AHEAD):
                if number >= AHEAD:
                    answer: Any = await calls.read()
                    if answer is grpc.aio.EOF or answer.HasField("refusal"):
                        raise RuntimeError(f"a reservation of a stream was refused: {answer}")
                if number < wish["messages"]:
                    wanted = bodies.reserve([sku()], new_id())
                    await calls.write(pb.ReserveStockStreamRequest(correlation_id="1", reserve=wanted))
            await calls.done_writing()
            return int(wish["messages"])

        yield step


@asynccontextmanager
async def verbs(wish: Wish) -> AsyncIterator[Step]:
    """A hold that is taken off the shelf, or given back: two calls."""
    async with channel_to(wish) as channel:
        stub, sku = inventory_pb2_grpc.InventoryServiceStub(channel), skus(wish)

        async def step(_: int) -> int:
            name, number = new_id(), next(_numbers)
            await stub.ReserveStock(bodies.reserve([sku()], name), metadata=CALLER, timeout=SECONDS)
            if number % 2:
                commit = pb.CommitReservationRequest(reservation_id=name)
                await stub.CommitReservation(commit, metadata=CALLER, timeout=SECONDS)
            else:
                release = pb.ReleaseReservationRequest(reservation_id=name)
                await stub.ReleaseReservation(release, metadata=CALLER, timeout=SECONDS)
            return 2

        yield step


KINDS: Mapping[str, Kind] = {"empty": empty, "reserve": reserve, "stream": stream, "verbs": verbs}
