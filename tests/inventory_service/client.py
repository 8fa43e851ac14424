"""A caller of the inventory service in short words, and its books as the database has them."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from holdfast.inventory.v1 import inventory_pb2_grpc, movement_pb2, reservation_pb2, stock_pb2
from holdfast.ops.v1 import ops_pb2, ops_pb2_grpc
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service.persistence.tables import metadata
from tests.support import refusals
from tests.support.refusals import Refused

SHOP = (("actor-role", "merchant"), ("actor-id", "7"))
STRANGER = (("actor-role", "merchant"), ("actor-id", "8"))
SYSTEM = (("actor-role", "system"), ("actor-id", "delivery"))
DISPATCHER = (("actor-role", "dispatcher"), ("actor-id", "control"))
Metadata = tuple[tuple[str, str], ...]


def lines(quantities: Mapping[str, int] | Sequence[tuple[str, int]]) -> list[reservation_pb2.ReservationLine]:
    """Lines of a request."""
    pairs = quantities.items() if isinstance(quantities, Mapping) else quantities
    return [reservation_pb2.ReservationLine(sku=sku, quantity=units) for sku, units in pairs]


class Inventory:
    """The service, called as SHOP unless said otherwise."""

    def __init__(self, channel: grpc.aio.Channel, engine: AsyncEngine) -> None:
        self.stub = inventory_pb2_grpc.InventoryServiceStub(channel)
        self.ops = ops_pb2_grpc.OpsServiceStub(channel)
        self.engine = engine

    async def create(self, sku: str, quantity: int = 0, **fields: Any) -> stock_pb2.Stock:
        """CreateStock."""
        request = stock_pb2.CreateStockRequest(sku=sku, quantity=quantity, **fields)
        return (await self.stub.CreateStock(request, metadata=SHOP, timeout=10)).stock

    async def adjust(self, sku: str, delta: int, request_id: str, **fields: Any) -> stock_pb2.Stock:
        """AdjustStock, RECEIVED."""
        given: dict[str, Any] = {"reason": movement_pb2.MOVEMENT_REASON_RECEIVED} | fields
        request = movement_pb2.AdjustStockRequest(sku=sku, delta=delta, request_id=request_id, **given)
        return (await self.stub.AdjustStock(request, metadata=SHOP, timeout=10)).stock

    async def reserve(
        self,
        reservation_id: str,
        quantities: Mapping[str, int] | Sequence[tuple[str, int]],
        *,
        ttl: float | None = None,
        metadata: Metadata = SHOP,
        **fields: Any,
    ) -> reservation_pb2.Reservation:
        """ReserveStock for holder order:1."""
        request = reservation_pb2.ReserveStockRequest(
            **{"reservation_id": reservation_id, "holder": "order:1", "lines": lines(quantities)} | fields
        )
        if ttl is not None:
            request.ttl.CopyFrom(duration(ttl))
        return (await self.stub.ReserveStock(request, metadata=metadata, timeout=10)).reservation

    async def commit(
        self, reservation_id: str, *, metadata: Metadata = SHOP, **fields: Any
    ) -> reservation_pb2.Reservation:
        """CommitReservation."""
        request = reservation_pb2.CommitReservationRequest(reservation_id=reservation_id, **fields)
        return (await self.stub.CommitReservation(request, metadata=metadata, timeout=10)).reservation

    async def release(
        self, reservation_id: str, *, metadata: Metadata = SHOP, **fields: Any
    ) -> reservation_pb2.Reservation:
        """ReleaseReservation."""
        request = reservation_pb2.ReleaseReservationRequest(reservation_id=reservation_id, **fields)
        return (await self.stub.ReleaseReservation(request, metadata=metadata, timeout=10)).reservation

    async def extend(
        self, reservation_id: str, ttl: float, *, metadata: Metadata = SHOP, **fields: Any
    ) -> reservation_pb2.Reservation:
        """ExtendReservation."""
        request = reservation_pb2.ExtendReservationRequest(
            reservation_id=reservation_id, ttl=duration(ttl), **fields
        )
        return (await self.stub.ExtendReservation(request, metadata=metadata, timeout=10)).reservation

    async def reservation(self, reservation_id: str) -> reservation_pb2.Reservation:
        """GetReservation."""
        request = reservation_pb2.GetReservationRequest(reservation_id=reservation_id)
        return (await self.stub.GetReservation(request, timeout=10)).reservation

    async def levels(self, sku: str) -> tuple[int, int, int]:
        """(quantity, reserved, available) by GetStock."""
        stock = (await self.stub.GetStock(stock_pb2.GetStockRequest(sku=sku), timeout=10)).stock
        return stock.quantity, stock.reserved_quantity, stock.available_quantity

    async def findings(self) -> list[str]:
        """What CheckConsistency finds."""
        found = self.ops.CheckConsistency(ops_pb2.CheckConsistencyRequest(), timeout=300)
        return [f"{answer.finding.subject}: {answer.finding.description}" async for answer in found]

    async def let_expire(self, *reservation_ids: str, seconds_ago: float = 1) -> None:
        """Moves the expire_time of holds into the past, as the passing of time would."""
        statement = text(
            "UPDATE inventory.reservation SET expire_time = now() - make_interval(secs => :ago)"
            " WHERE reservation_id = ANY(:ids)"
        )
        async with self.engine.begin() as connection:
            await connection.execute(statement, {"ids": list(reservation_ids), "ago": seconds_ago})

    async def everything(self) -> dict[str, list[Any]]:
        """All rows of all tables."""
        async with self.engine.connect() as connection:
            return {
                table.name: sorted(map(repr, (await connection.execute(select(table))).all()))
                for table in metadata.sorted_tables
            }


async def refused(call: Awaitable[object]) -> Refused:
    """The refusal of a call that must not succeed; inventory itself named it."""
    return await refusals.refused(call, domain="inventory.holdfast")


async def outcome(call: Awaitable[object]) -> object:
    """ "OK", or the reason of the refusal; anything that is no refusal fails the test."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        assert error.code() in (
            grpc.StatusCode.FAILED_PRECONDITION,
            grpc.StatusCode.ALREADY_EXISTS,
            grpc.StatusCode.NOT_FOUND,
        ), error
        return str(error.details()).split(":", maxsplit=1)[0]
    return "OK"


def duration(seconds: float) -> Duration:
    """A Duration of so many seconds."""
    message = Duration()
    message.FromMicroseconds(round(seconds * 1_000_000))
    return message
