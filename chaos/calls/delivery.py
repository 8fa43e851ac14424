"""Delivery's calls; a call's name is that of its order and the order's sku, and follows PG in its package's."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import Message
from holdfast.delivery.v1 import directory_pb2, evidence_pb2, order_pb2
from holdfast.delivery.v1 import package_pb2 as pb
from holdfast.inventory.v1 import movement_pb2

from chaos.calls.call import SECONDS, UNITS, Call, found, plain
from devtools.journey import CLAIM, STEPS, Step
from tests.support.town import SYSTEM, Town


async def _order(town: Town, name: str) -> None:
    await town.stock(UNITS, name)
    await town.order({name: 2}, name)


async def _create(town: Town, name: str, workflow: pb.Workflow.ValueType) -> pb.Package:
    request = town.package_request(workflow, name, package_sn=f"PG{name}")
    request.request_id = f"{name}-create"
    return await town.create(request)


async def packed(town: Town, name: str, workflow: pb.Workflow.ValueType) -> pb.Package:
    """A package that holds its stock."""
    await _order(town, name)
    package = await town.insist(_create, town, name, workflow)
    return await town.stock_state(package.package_sn, pb.STOCK_STATE_HELD)


async def _before(town: Town, name: str, workflow: pb.Workflow.ValueType, step: Step) -> None:
    """A package that has come as far as that this is its next step."""
    package = await packed(town, name, workflow)
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
    return await found(name, town.delivery.GetOrder(order_pb2.GetOrderRequest(order_id=name)))


async def _register_driver(town: Town, name: str) -> None:
    request = directory_pb2.RegisterDriverRequest(
        driver_id=name, name="Driver", phone=f"+{name}", request_id=name
    )
    await town.delivery.RegisterDriver(request, metadata=SYSTEM, timeout=SECONDS)


async def _rest_driver(town: Town, name: str) -> None:
    request = directory_pb2.SetDriverActiveRequest(driver_id=name, active=False, request_id=f"{name}-rest")
    await town.delivery.SetDriverActive(request, metadata=SYSTEM, timeout=SECONDS)


async def _driver_state(town: Town, name: str) -> str:
    return await found(name, town.delivery.GetDriver(directory_pb2.GetDriverRequest(driver_id=name)))


async def _register_warehouse(town: Town, name: str) -> None:
    request = directory_pb2.RegisterWarehouseRequest(
        warehouse_id=name, code=f"W{name}", name="South", address="2 Quay Street", request_id=name
    )
    await town.delivery.RegisterWarehouse(request, metadata=SYSTEM, timeout=SECONDS)


async def _warehouse_state(town: Town, name: str) -> str:
    asked = directory_pb2.GetWarehouseRequest(warehouse_id=name)
    return await found(name, town.delivery.GetWarehouse(asked))


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
    return plain([*told, f"{reserved} of {quantity} reserved"], name)


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


_MERCHANT_TO_USER = partial(packed, workflow=pb.WORKFLOW_MERCHANT_TO_USER)
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
