"""Every call that changes something, and what it leaves behind, in words that are the same wherever it is made."""

import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from holdfast.delivery.v1 import directory_pb2, evidence_pb2, order_pb2
from holdfast.delivery.v1 import package_pb2 as pb
from holdfast.inventory.v1 import movement_pb2, reports_pb2, reservation_pb2, stock_pb2, transfer_pb2

from devtools.journey import CLAIM, STEPS, Step
from tests.support.town import SYSTEM, Town

SECONDS = 10.0
UNITS = 5

Ask = Callable[[Town, str], Awaitable[object]]
"""Makes a call about the thing of this name; the same call however often it is made."""
State = Callable[[Town, str], Awaitable[str]]


async def nothing(town: Town, name: str) -> None:
    """No preparation."""


@dataclass(frozen=True)
class Call:
    """A call, what has to be there before it, and how to look at what it is about."""

    method: str
    ask: Ask
    state: State
    arrange: Ask = nothing


def _inventory(
    method: str,
    request: Callable[[str], Message],
    arrange: Ask | None = None,
    state: State | None = None,
) -> Call:
    async def ask(town: Town, name: str) -> None:
        call: Any = getattr(town.inventory, method)
        await call(request(name), metadata=SYSTEM, timeout=SECONDS)

    return Call(method, ask, state or stock_state, arrange or stocked)


async def stocked(town: Town, name: str) -> None:
    """Some units."""
    await town.stock(UNITS, name)


async def _two_stocks(town: Town, name: str) -> None:
    await stocked(town, name)
    await stocked(town, f"{name}-beside")


async def _empty_stock(town: Town, name: str) -> None:
    await town.stock(0, name)


async def _held(town: Town, name: str) -> None:
    await stocked(town, name)
    await town.inventory.ReserveStock(_hold(name), metadata=SYSTEM, timeout=SECONDS)


async def _listed(town: Town, name: str) -> None:
    await stocked(town, name)
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


async def stock_state(town: Town, name: str) -> str:
    """The stock of this name with its ledger and its reservations."""
    return _plain(await _stock(town, name), name)


async def _state_of_both(town: Town, name: str) -> str:
    """The same, and that of the stock beside it."""
    return _plain([*await _stock(town, name), *await _stock(town, f"{name}-beside")], name)


async def _low_state(town: Town, name: str) -> str:
    """The same, and whether it runs low."""
    low = [each for each in await _low_stocks(town) if each.sku == name]
    return _plain([*await _stock(town, name), *low], name)


async def _stock(town: Town, sku: str) -> list[Message | str]:
    try:
        stock: Message | str = (
            await town.inventory.GetStock(stock_pb2.GetStockRequest(sku=sku), timeout=SECONDS)
        ).stock
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        stock = "none"
    moved = movement_pb2.ListMovementsRequest(sku=sku, page_size=100)
    held = reservation_pb2.ListReservationsRequest(sku=sku, page_size=100)
    return [
        stock,
        await town.inventory.ListMovements(moved, timeout=SECONDS),
        await town.inventory.ListReservations(held, timeout=SECONDS),
    ]


async def _low_stocks(town: Town) -> list[reports_pb2.LowStock]:
    found: list[reports_pb2.LowStock] = []
    page = reports_pb2.ListLowStockRequest(page_size=100)
    while True:
        reply = await town.inventory.ListLowStock(page, timeout=SECONDS)
        found.extend(reply.low_stocks)
        if not reply.next_page_token:
            return found
        page.page_token = reply.next_page_token


_ADD_LISTING = _inventory(
    "AddListing",
    lambda name: stock_pb2.AddListingRequest(sku=name, listing=_listing(name, "10.00"), request_id=name),
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
    _inventory(
        "AdjustStock",
        lambda name: movement_pb2.AdjustStockRequest(
            sku=name, delta=3, reason=movement_pb2.MOVEMENT_REASON_RECEIVED, request_id=name
        ),
    ),
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
        _state_of_both,
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
    Call("ReserveStockStream", _reserve_in_a_stream, stock_state, stocked),
    _inventory(
        "CommitReservation",
        lambda name: reservation_pb2.CommitReservationRequest(reservation_id=name, request_id=name),
        _held,
    ),
    _inventory(
        "ReleaseReservation",
        lambda name: reservation_pb2.ReleaseReservationRequest(reservation_id=name, request_id=name),
        _held,
    ),
    _inventory(
        "ExtendReservation",
        lambda name: reservation_pb2.ExtendReservationRequest(
            reservation_id=name, ttl=Duration(seconds=7_200), request_id=name
        ),
        _held,
    ),
    _inventory(
        "SetStockThreshold",
        lambda name: reports_pb2.SetStockThresholdRequest(sku=name, threshold=UNITS, request_id=name),
        state=_low_state,
    ),
    Call("ImportStocks", _import, _state_of_both),
)
"""Inventory's; a call's name is that of its stock, its reservation and its request."""


async def _order(town: Town, name: str) -> None:
    await town.stock(UNITS, name)
    await town.order({name: 2}, name)


async def _create(town: Town, name: str, workflow: pb.Workflow.ValueType) -> pb.Package:
    request = town.package_request(workflow, name, package_sn=f"PG{name}")
    request.request_id = f"{name}-create"
    return await town.create(request)


async def _packed(town: Town, name: str, workflow: pb.Workflow.ValueType) -> pb.Package:
    await _order(town, name)
    package = await town.insist(_create, town, name, workflow)
    return await town.stock_state(package.package_sn, pb.STOCK_STATE_HELD)


async def _before(town: Town, name: str, workflow: pb.Workflow.ValueType, step: Step) -> None:
    """A package that has come as far as that this is its next step."""
    package = await _packed(town, name, workflow)
    for earlier in STEPS[workflow]:
        if earlier == step:
            return
        await town.insist(town.take, package.package_sn, earlier)


async def _take(town: Town, name: str, step: Step, **fields: Any) -> None:
    await town.journey.take(f"PG{name}", step, **fields)


async def _claimed(town: Town, name: str) -> None:
    await _before(town, name, pb.WORKFLOW_DRIVER_TO_USER, CLAIM)
    await _take(town, name, CLAIM)


async def _assign(town: Town, name: str) -> None:
    await _take(town, name, Step("AssignDriver", "dispatcher"), driver_id=town.parties.driver_id)


async def _rejected(town: Town, name: str) -> None:
    await town.stock(1, name)
    await town.order({name: 2}, name)
    await town.insist(_create, town, name, pb.WORKFLOW_MERCHANT_TO_USER)
    await town.stock_state(f"PG{name}", pb.STOCK_STATE_REJECTED)
    more = movement_pb2.SetStockQuantityRequest(sku=name, quantity=UNITS, expected_quantity=1)
    await town.inventory.SetStockQuantity(more, metadata=SYSTEM, timeout=SECONDS)


async def _retry(town: Town, name: str) -> None:
    request = pb.RetryReservationRequest(package_sn=f"PG{name}", request_id=f"{name}-retry")
    merchant = town.parties.metadata("merchant")
    await town.delivery.RetryReservation(request, metadata=merchant, timeout=SECONDS)


async def _cancel(town: Town, name: str) -> None:
    await town.cancel(f"PG{name}")


async def _register_order(town: Town, name: str) -> None:
    await town.order({name: 2}, name)


async def _order_state(town: Town, name: str) -> str:
    return await _found(name, town.delivery.GetOrder(order_pb2.GetOrderRequest(order_id=name)))


async def _register_driver(town: Town, name: str) -> None:
    request = directory_pb2.RegisterDriverRequest(
        driver_id=name, name="Driver", phone=f"+{name}", request_id=name
    )
    await town.delivery.RegisterDriver(request, metadata=SYSTEM, timeout=SECONDS)


async def _rest_driver(town: Town, name: str) -> None:
    request = directory_pb2.SetDriverActiveRequest(driver_id=name, active=False, request_id=f"{name}-rest")
    await town.delivery.SetDriverActive(request, metadata=SYSTEM, timeout=SECONDS)


async def _driver_state(town: Town, name: str) -> str:
    return await _found(name, town.delivery.GetDriver(directory_pb2.GetDriverRequest(driver_id=name)))


async def _register_warehouse(town: Town, name: str) -> None:
    request = directory_pb2.RegisterWarehouseRequest(
        warehouse_id=name, code=f"W{name}", name="South", address="2 Quay Street", request_id=name
    )
    await town.delivery.RegisterWarehouse(request, metadata=SYSTEM, timeout=SECONDS)


async def _warehouse_state(town: Town, name: str) -> str:
    asked = directory_pb2.GetWarehouseRequest(warehouse_id=name)
    return await _found(name, town.delivery.GetWarehouse(asked))


async def package_state(town: Town, name: str) -> str:
    """The package of this name with its timeline and its photos, and the stock of its order."""
    package_sn = f"PG{name}"
    events = pb.ListPackageEventsRequest(package_sn=package_sn, page_size=100)
    photos = evidence_pb2.ListEvidenceRequest(package_sn=package_sn, page_size=100)
    try:
        told: list[Message | str] = [
            await town.get(package_sn),
            await town.delivery.ListPackageEvents(events, timeout=SECONDS),
            await town.delivery.ListEvidence(photos, timeout=SECONDS),
        ]
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        told = ["none"]
    quantity, reserved = await town.levels(name)
    return _plain([*told, f"{reserved} of {quantity} reserved"], name)


async def _found(name: str, call: Awaitable[Message]) -> str:
    try:
        return _plain([await call], name)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        return "none"


def _verbs() -> Iterator[Call]:
    """Each step of the two workflows that have them all, and what is done outside of them."""
    for workflow in (pb.WORKFLOW_DRIVER_TO_WAREHOUSE, pb.WORKFLOW_MERCHANT_TO_USER):
        for step in STEPS[workflow]:
            yield Call(
                step.method,
                partial(_take, step=step),
                package_state,
                partial(_before, workflow=workflow, step=step),
            )


_MERCHANT_TO_USER = partial(_packed, workflow=pb.WORKFLOW_MERCHANT_TO_USER)
DELIVERY: Sequence[Call] = (
    Call("RegisterOrder", _register_order, _order_state),
    Call("CreatePackage", partial(_create, workflow=pb.WORKFLOW_MERCHANT_TO_USER), package_state, _order),
    *_verbs(),
    Call("ReleaseClaim", partial(_take, step=Step("ReleaseClaim", "driver")), package_state, _claimed),
    Call(
        "AssignDriver",
        _assign,
        package_state,
        partial(_before, workflow=pb.WORKFLOW_DRIVER_TO_USER, step=CLAIM),
    ),
    Call("CancelPackage", _cancel, package_state, _MERCHANT_TO_USER),
    Call("RetryReservation", _retry, package_state, _rejected),
    Call("RegisterDriver", _register_driver, _driver_state),
    Call("SetDriverActive", _rest_driver, _driver_state, _register_driver),
    Call("RegisterWarehouse", _register_warehouse, _warehouse_state),
)
"""Delivery's; a call's name is that of its order and the order's sku, and follows PG in its package's."""

VOLATILE = (
    "Time",
    "etag",
    "movementId",
    "evidenceId",
    "evidenceIds",
    "sha256",
    "sizeBytes",
    "proofs",
    "clockSkew",
)
"""What is another one each time, or follows from that; JSON's names end so."""


def _plain(told: Sequence[Message | str], name: str) -> str:
    """In words that the same call about a thing of another name leaves, too."""
    shown = [each if isinstance(each, str) else _stable(MessageToDict(each)) for each in told]
    return json.dumps(shown, sort_keys=True).replace(name, "NAME")


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _stable(each) for key, each in value.items() if not key.endswith(VOLATILE)}
    return [_stable(each) for each in value] if isinstance(value, list) else value
