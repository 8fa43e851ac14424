"""The trace of a caller's span in calls of every kind, against a real server that notes what it is told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
from holdfast import client
from holdfast.inventory.v1 import inventory_pb2_grpc, reservation_pb2, stock_pb2, transfer_pb2
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from tests.client.shaky import Shaky, serving

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
HERE = f"00-{TRACE}-{SPAN}-01"

SALE = stock_pb2.CreateStockRequest(sku="TEA-500")
EXPORT = transfer_pb2.ExportStocksRequest()
ROW = transfer_pb2.ImportStocksRequest(row=transfer_pb2.ImportRow(sku="TEA-500"))
WISH = reservation_pb2.ReserveStockStreamRequest()


@contextmanager
def open_span() -> Iterator[None]:
    context = SpanContext(int(TRACE, 16), int(SPAN, 16), is_remote=False, trace_flags=TraceFlags(1))
    with use_span(NonRecordingSpan(context)):
        yield


async def by_asyncio(address: str) -> None:
    async def wishes() -> AsyncIterator[reservation_pb2.ReserveStockStreamRequest]:
        yield WISH

    async with client.aio_channel(address) as channel:
        stub = inventory_pb2_grpc.InventoryServiceStub(channel)
        await stub.CreateStock(SALE)
        assert len([answer async for answer in stub.ExportStocks(EXPORT)]) == 1
        await stub.ImportStocks(iter([ROW]))
        assert len([answer async for answer in stub.ReserveStockStream(wishes())]) == 1


async def by_threads(address: str) -> None:
    def call() -> None:
        with client.channel(address) as channel:
            stub = inventory_pb2_grpc.InventoryServiceStub(channel)
            stub.CreateStock(SALE)
            assert len(list(stub.ExportStocks(EXPORT))) == 1
            stub.ImportStocks(iter([ROW]))
            assert len(list(stub.ReserveStockStream(iter([WISH])))) == 1

    await asyncio.to_thread(call)


@pytest.mark.parametrize("calls", [by_asyncio, by_threads])
async def test_a_call_of_each_kind_takes_the_callers_trace_along(
    calls: Callable[[str], Awaitable[None]],
) -> None:
    async with serving(shaky := Shaky()) as address:
        await calls(address)
        with open_span():
            await calls(address)

    assert shaky.traceparents == [None] * 4 + [HERE] * 4


async def test_a_traceparent_that_the_caller_names_is_kept() -> None:
    mine = HERE.replace("b7", "c8")
    async with serving(shaky := Shaky()) as address, client.aio_channel(address) as channel:
        with open_span():
            stub = inventory_pb2_grpc.InventoryServiceStub(channel)
            await stub.CreateStock(SALE, metadata=(("traceparent", mine), ("actor-id", "7")))

    assert shaky.traceparents == [mine]
