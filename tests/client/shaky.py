"""A real server of InventoryService that refuses as often as it is told, and remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from holdfast.inventory.v1 import inventory_pb2_grpc, reservation_pb2, stock_pb2, transfer_pb2


@dataclass
class Shaky(inventory_pb2_grpc.InventoryServiceServicer):
    """Refuses the first calls with `code`, then answers; or never does, where it `hangs`."""

    refusals: int = 0
    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    hangs: bool = False
    asked: list[Message] = field(default_factory=list)
    left: list[float] = field(default_factory=list)
    """Seconds that each call had left when it came."""
    traceparents: list[str | None] = field(default_factory=list)

    async def CreateStock(
        self, request: stock_pb2.CreateStockRequest, context: Any
    ) -> stock_pb2.CreateStockResponse:
        await self._meet(request, context)
        return stock_pb2.CreateStockResponse(stock=stock_pb2.Stock(sku=request.sku))

    async def ReserveStock(
        self, request: reservation_pb2.ReserveStockRequest, context: Any
    ) -> reservation_pb2.ReserveStockResponse:
        await self._meet(request, context)
        return reservation_pb2.ReserveStockResponse()

    async def ExportStocks(
        self, request: transfer_pb2.ExportStocksRequest, context: Any
    ) -> AsyncIterator[transfer_pb2.ExportStocksResponse]:
        await self._meet(request, context)
        yield transfer_pb2.ExportStocksResponse()

    async def ImportStocks(
        self, request_iterator: AsyncIterator[transfer_pb2.ImportStocksRequest], context: Any
    ) -> transfer_pb2.ImportStocksResponse:
        async for request in request_iterator:
            await self._meet(request, context)
        return transfer_pb2.ImportStocksResponse()

    async def ReserveStockStream(
        self, request_iterator: AsyncIterator[reservation_pb2.ReserveStockStreamRequest], context: Any
    ) -> AsyncIterator[reservation_pb2.ReserveStockStreamResponse]:
        async for request in request_iterator:
            await self._meet(request, context)
            yield reservation_pb2.ReserveStockStreamResponse()

    async def _meet(self, request: Message, context: Any) -> None:
        self.asked.append(request)
        self.left.append(context.time_remaining())
        self.traceparents.append(dict(context.invocation_metadata()).get("traceparent"))
        if self.hangs:
            await asyncio.Event().wait()
        if len(self.asked) <= self.refusals:
            await context.abort(self.code, "not now")


@asynccontextmanager
async def serving(servicer: Shaky, credentials: grpc.ServerCredentials | None = None) -> AsyncIterator[str]:
    """The address of a server that answers with it."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    inventory_pb2_grpc.add_InventoryServiceServicer_to_server(servicer, server)
    port = (
        server.add_secure_port("localhost:0", credentials)
        if credentials
        else server.add_insecure_port("localhost:0")
    )
    await server.start()
    try:
        yield f"localhost:{port}"
    finally:
        await server.stop(None)
