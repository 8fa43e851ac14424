"""Inventory's calls; a call's name is that of its stock, its reservation and its request."""

from collections.abc import Callable, Sequence
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from holdfast.inventory.v1 import movement_pb2, reports_pb2, reservation_pb2, stock_pb2, transfer_pb2

from chaos.calls.call import SECONDS, UNITS, Ask, Call, State, nothing
from chaos.calls.stocks import figures_state, hold_state, low_state, state_of_both, stock_state
from tests.support.town import SYSTEM, Town


def _inventory(
    method: str,
    request: Callable[[str], Message],
    arrange: Ask | None = None,
    state: State | None = None,
) -> Call:
    async def ask(town: Town, name: str) -> None:
        call: Any = getattr(town.inventory, method)
        await call(request(name), metadata=SYSTEM, timeout=SECONDS)

    return Call(method, ask, state or stock_state, arrange or _stocked)


async def _stocked(town: Town, name: str) -> None:
    """Some units."""
    await town.stock(UNITS, name)


async def _two_stocks(town: Town, name: str) -> None:
    await _stocked(town, name)
    await _stocked(town, f"{name}-beside")


async def _empty_stock(town: Town, name: str) -> None:
    await town.stock(0, name)


async def held(town: Town, name: str) -> None:
    """Some units, some of them held."""
    await _stocked(town, name)
    await town.inventory.ReserveStock(_hold(name), metadata=SYSTEM, timeout=SECONDS)


async def _listed(town: Town, name: str) -> None:
    await _stocked(town, name)
    await _ADD_LISTING.ask(town, name)


def _hold(name: str) -> reservation_pb2.ReserveStockRequest:
    line = reservation_pb2.ReservationLine(sku=name, quantity=2)
    return reservation_pb2.ReserveStockRequest(
        reservation_id=name, holder="chaos", lines=[line], ttl=Duration(seconds=3_600)
    )


def _listing(name: str, price: str) -> stock_pb2.Listing:
    return stock_pb2.Listing(
        platform=stock_pb2.PLATFORM_EBAY, listing_id=name, ask_price=price, currency="EUR"
    )


async def _reserve_in_a_stream(town: Town, name: str) -> None:
    async def wishes() -> Any:
        yield reservation_pb2.ReserveStockStreamRequest(correlation_id="1", reserve=_hold(name))

    async for reply in town.inventory.ReserveStockStream(wishes(), metadata=SYSTEM, timeout=SECONDS):
        if reply.WhichOneof("outcome") == "refusal":
            raise _refused(reply.refusal.code, reply.refusal.message)


def _refused(number: int, message: str) -> grpc.aio.AioRpcError:
    code = next(code for code in grpc.StatusCode if code.value[0] == number)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), message)


async def _import(town: Town, name: str) -> None:
    options = transfer_pb2.ImportOptions(import_id=name)
    rows = [
        transfer_pb2.ImportStocksRequest(options=options),
        *(
            transfer_pb2.ImportStocksRequest(row=transfer_pb2.ImportRow(line=line, sku=sku, quantity=7))
            for line, sku in enumerate((name, f"{name}-beside"), 1)
        ),
    ]
    await town.inventory.ImportStocks(iter(rows), metadata=SYSTEM, timeout=SECONDS)


async def _refresh(town: Town, name: str) -> None:
    request = reports_pb2.RefreshStockMetricsRequest()
    await town.inventory.RefreshStockMetrics(request, metadata=SYSTEM, timeout=SECONDS)


async def _outdated(town: Town, name: str) -> None:
    await _stocked(town, name)
    await _refresh(town, name)
    await _ADJUST.ask(town, name)


_ADD_LISTING = _inventory(
    "AddListing",
    lambda name: stock_pb2.AddListingRequest(sku=name, listing=_listing(name, "10.00"), request_id=name),
)
_ADJUST = _inventory(
    "AdjustStock",
    lambda name: movement_pb2.AdjustStockRequest(
        sku=name, delta=3, reason=movement_pb2.MOVEMENT_REASON_RECEIVED, request_id=name
    ),
)
INVENTORY: Sequence[Call] = (
    _inventory(
        "CreateStock",
        lambda name: stock_pb2.CreateStockRequest(sku=name, quantity=UNITS, request_id=name),
        nothing,
    ),
    _inventory(
        "UpdateStock",
        lambda name: stock_pb2.UpdateStockRequest(
            sku=name,
            details=stock_pb2.StockDetails(notes="seen", location="shelf 4"),
            update_mask=FieldMask(paths=["notes", "location"]),
            request_id=name,
        ),
    ),
    _inventory(
        "DeleteStock", lambda name: stock_pb2.DeleteStockRequest(sku=name, request_id=name), _empty_stock
    ),
    _ADJUST,
    _inventory(
        "BatchAdjustStocks",
        lambda name: movement_pb2.BatchAdjustStocksRequest(
            adjustments=[
                movement_pb2.StockAdjustment(sku=sku, delta=-1, reason=movement_pb2.MOVEMENT_REASON_DAMAGED)
                for sku in (name, f"{name}-beside", name)
            ],
            request_id=name,
        ),
        _two_stocks,
        state_of_both,
    ),
    _inventory(
        "SetStockQuantity",
        lambda name: movement_pb2.SetStockQuantityRequest(
            sku=name, quantity=4, expected_quantity=UNITS, request_id=name
        ),
    ),
    _inventory(
        "ChangeStockStatus",
        lambda name: stock_pb2.ChangeStockStatusRequest(
            sku=name, status=stock_pb2.STOCK_STATUS_PRESALE, reason="early", request_id=name
        ),
    ),
    _ADD_LISTING,
    _inventory(
        "UpdateListing",
        lambda name: stock_pb2.UpdateListingRequest(
            sku=name,
            listing=_listing(name, "12.00"),
            update_mask=FieldMask(paths=["ask_price"]),
            request_id=f"{name}-update",
        ),
        _listed,
    ),
    _inventory(
        "EndListing",
        lambda name: stock_pb2.EndListingRequest(
            sku=name, platform=stock_pb2.PLATFORM_EBAY, listing_id=name, request_id=f"{name}-end"
        ),
        _listed,
    ),
    _inventory("ReserveStock", _hold),
    Call("ReserveStockStream", _reserve_in_a_stream, stock_state, _stocked),
    _inventory(
        "CommitReservation",
        lambda name: reservation_pb2.CommitReservationRequest(reservation_id=name, request_id=name),
        held,
    ),
    _inventory(
        "ReleaseReservation",
        lambda name: reservation_pb2.ReleaseReservationRequest(reservation_id=name, request_id=name),
        held,
    ),
    _inventory(
        "ExtendReservation",
        lambda name: reservation_pb2.ExtendReservationRequest(
            reservation_id=name, ttl=Duration(seconds=7_200), request_id=name
        ),
        held,
        hold_state,
    ),
    _inventory(
        "SetStockThreshold",
        lambda name: reports_pb2.SetStockThresholdRequest(sku=name, threshold=UNITS, request_id=name),
        state=low_state,
    ),
    Call("ImportStocks", _import, state_of_both),
    Call("RefreshStockMetrics", _refresh, figures_state, _outdated),
)
