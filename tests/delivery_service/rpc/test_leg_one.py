"""The second leg: from the warehouse to the user, beside the first one."""

from typing import Any

import grpc
import pytest
from holdfast.delivery.v1 import directory_pb2, order_pb2
from holdfast.delivery.v1 import package_pb2 as pb

from devtools.journey import PREPARE
from tests.delivery_service.client import DRIVER, MERCHANT, WAREHOUSE, Delivery, actor

FAILED = grpc.StatusCode.FAILED_PRECONDITION


async def received(delivery: Delivery, workflow: str = "MERCHANT_TO_WAREHOUSE") -> tuple[str, pb.Package]:
    """An order whose leg-0 package the warehouse has received."""
    order = await delivery.order({"A": 2, "B": 1})
    package = await delivery.drive(await delivery.create(workflow, [order]), until="ReceivePackage")
    await delivery.quiet()
    return order, package


async def onward(delivery: Delivery, order: str, **fields: Any) -> pb.Package:
    """A leg-1 package of the order, made by the warehouse."""
    return await delivery.create("DRIVER_TO_USER", [order], leg=1, by=WAREHOUSE, **fields)


async def deliver_onward(delivery: Delivery, package_sn: str) -> None:
    """Takes a leg-1 package to the user."""
    for method, kind, by in [
        ("PreparePackage", "PREPARATION", WAREHOUSE),
        ("ClaimPackage", "", DRIVER),
        ("PickUpPackage", "COLLECTION", DRIVER),
        ("DeliverPackage", "DELIVERY", DRIVER),
    ]:
        photos = [(await delivery.upload(package_sn, kind, by=by)).evidence_id] if kind else []
        await delivery.move(method, package_sn, by=by, evidence_ids=photos)


async def test_a_second_leg_takes_what_the_warehouse_has_and_asks_for_no_hold(delivery: Delivery) -> None:
    order, first = await received(delivery)

    package = await onward(delivery, order)

    assert (package.leg, package.stock_state) == (1, pb.STOCK_STATE_NOT_TRACKED)
    assert (package.reservation_id, package.attempt) == ("", 0)
    assert sorted((item.sku, item.quantity) for item in package.items) == [("A", 2), ("B", 1)]
    assert [call for call in delivery.inventory.calls if package.package_sn in call[1]] == []
    found = (await delivery.stub.GetOrder(order_pb2.GetOrderRequest(order_id=order), timeout=10)).order
    assert [(p.package_sn, p.leg) for p in found.packages] == [(first.package_sn, 0), (package.package_sn, 1)]


async def test_legs_that_disagree_make_the_delivery_type_ambiguous(delivery: Delivery) -> None:
    order, _ = await received(delivery)
    await onward(delivery, order)

    reply = await delivery.stub.GetOrderDeliveryType(
        order_pb2.GetOrderDeliveryTypeRequest(order_id=order), timeout=10
    )

    assert reply.answer == order_pb2.DELIVERY_TYPE_ANSWER_AMBIGUOUS
    assert reply.delivery_type == pb.DELIVERY_TYPE_UNSPECIFIED
    assert [p.delivery_type for p in reply.packages] == [pb.DELIVERY_TYPE_MERCHANT, pb.DELIVERY_TYPE_DRIVER]


@pytest.mark.parametrize("workflow", ["MERCHANT_TO_WAREHOUSE", "DRIVER_TO_WAREHOUSE"])
async def test_the_first_leg_waits_for_the_second_and_is_closed_after_it(
    delivery: Delivery, workflow: str
) -> None:
    order, first = await received(delivery, workflow)
    second = await onward(delivery, order)
    photo = await delivery.upload(first.package_sn, "SHIPPING", by=WAREHOUSE)

    shipped = await delivery.refused(
        delivery.move("ShipPackage", first.package_sn, by=WAREHOUSE, evidence_ids=[photo.evidence_id])
    )
    early = await delivery.refused(delivery.move("CompletePackage", first.package_sn, by=MERCHANT))
    await deliver_onward(delivery, second.package_sn)
    done = await delivery.move("CompletePackage", first.package_sn, by=MERCHANT)

    assert (shipped.code, shipped.reason) == (FAILED, "ILLEGAL_TRANSITION")
    assert (early.code, early.reason) == (FAILED, "ILLEGAL_TRANSITION")
    assert done.state == pb.PACKAGE_STATE_COMPLETED
    assert delivery.inventory.stock == {"A": 98, "B": 99}


async def test_what_the_second_leg_has_brought_is_not_shipped_by_the_first(delivery: Delivery) -> None:
    order, first = await received(delivery)
    second = await onward(delivery, order)
    await deliver_onward(delivery, second.package_sn)
    await delivery.move("CompletePackage", second.package_sn, by=MERCHANT)
    photo = await delivery.upload(first.package_sn, "SHIPPING", by=WAREHOUSE)

    refusal = await delivery.refused(
        delivery.move("ShipPackage", first.package_sn, by=WAREHOUSE, evidence_ids=[photo.evidence_id])
    )

    assert (refusal.code, refusal.reason) == (FAILED, "ILLEGAL_TRANSITION")
    assert refusal.metadata["allowed"] == "COMPLETE"


async def test_a_cancelled_second_leg_lets_the_first_one_ship(delivery: Delivery) -> None:
    order, first = await received(delivery)
    second = await onward(delivery, order)

    await delivery.move("CancelPackage", second.package_sn, by=MERCHANT, reason="the warehouse brings it")

    assert (await delivery.drive(first)).state == pb.PACKAGE_STATE_COMPLETED


async def test_a_second_leg_needs_the_goods_in_that_warehouse(delivery: Delivery) -> None:
    order = await delivery.order({"A": 2})
    early = await delivery.create("MERCHANT_TO_WAREHOUSE", [order])

    refusal = await delivery.refused(onward(delivery, order))

    assert early.state == pb.PACKAGE_STATE_PENDING
    assert (refusal.code, refusal.reason) == (FAILED, "ORDER_NOT_SHIPPABLE")
    assert refusal.violations == [(order, "has no package that warehouse 3 has received")]


async def test_a_second_leg_takes_no_more_than_the_first_brought(delivery: Delivery) -> None:
    order, _ = await received(delivery)

    refusal = await delivery.refused(onward(delivery, order, items=[pb.PackageItem(sku="A", quantity=3)]))

    assert (refusal.code, refusal.reason) == (FAILED, "ORDER_OVERPACKED")


async def in_parts(
    delivery: Delivery, units: int, workflow: str = "MERCHANT_TO_WAREHOUSE"
) -> tuple[str, str]:
    """An order of 5 units of which a first package brought some to the warehouse; leg 1 has delivered them."""
    order = await delivery.order({"A": 5})
    some = [pb.PackageItem(sku="A", quantity=units)]
    first = await delivery.create(workflow, [order], items=some)
    await delivery.drive(first, until="ReceivePackage")
    second = await onward(delivery, order)
    await deliver_onward(delivery, second.package_sn)
    await delivery.move("CompletePackage", second.package_sn, by=MERCHANT)
    return order, first.package_sn


async def test_an_order_goes_on_in_as_many_parts_as_it_came_in(delivery: Delivery) -> None:
    order, first = await in_parts(delivery, 2)
    await delivery.move("CompletePackage", first, by=MERCHANT)
    rest = await delivery.create(
        "MERCHANT_TO_WAREHOUSE", [order], items=[pb.PackageItem(sku="A", quantity=3)]
    )
    await delivery.drive(rest, until="ReceivePackage")
    await delivery.quiet()

    early = await delivery.refused(delivery.move("CompletePackage", rest.package_sn, by=MERCHANT))
    too_much = await delivery.refused(onward(delivery, order, items=[pb.PackageItem(sku="A", quantity=4)]))
    second = await onward(delivery, order)
    waiting = await delivery.refused(delivery.move("CompletePackage", rest.package_sn, by=MERCHANT))
    await deliver_onward(delivery, second.package_sn)
    done = await delivery.move("CompletePackage", rest.package_sn, by=MERCHANT)

    assert (early.code, early.reason) == (FAILED, "ILLEGAL_TRANSITION")
    assert too_much.reason == "ORDER_OVERPACKED"
    assert [(item.sku, item.quantity) for item in second.items] == [("A", 3)]
    assert waiting.reason == "ILLEGAL_TRANSITION"
    assert done.state == pb.PACKAGE_STATE_COMPLETED


async def test_a_first_leg_is_not_closed_while_some_of_it_lies_in_the_warehouse(delivery: Delivery) -> None:
    order, first = await received(delivery)
    for sku, quantity in (("A", 1), ("A", 1), ("B", 1)):
        second = await onward(delivery, order, items=[pb.PackageItem(sku=sku, quantity=quantity)])
        await deliver_onward(delivery, second.package_sn)
        await delivery.move("CompletePackage", second.package_sn, by=MERCHANT)
        await delivery.quiet()
        if sku == "A":
            early = await delivery.refused(delivery.move("CompletePackage", first.package_sn, by=MERCHANT))
            assert early.reason == "ILLEGAL_TRANSITION"

    done = await delivery.move("CompletePackage", first.package_sn, by=MERCHANT)

    assert done.state == pb.PACKAGE_STATE_COMPLETED


async def test_what_went_on_from_one_warehouse_is_not_missing_in_another(delivery: Delivery) -> None:
    await delivery.stub.RegisterWarehouse(
        directory_pb2.RegisterWarehouseRequest(warehouse_id="4", code="S", name="South"), timeout=10
    )
    order, first = await in_parts(delivery, 3)
    await delivery.move("CompletePackage", first, by=MERCHANT)
    south = await delivery.create(
        "MERCHANT_TO_WAREHOUSE", [order], warehouse_id="4", items=[pb.PackageItem(sku="A", quantity=2)]
    )
    await delivery.take(south.package_sn, PREPARE)
    photo = await delivery.upload(south.package_sn, "RECEIPT", by=actor("warehouse", 4))
    await delivery.move(
        "ReceivePackage", south.package_sn, by=actor("warehouse", 4), evidence_ids=[photo.evidence_id]
    )
    await delivery.quiet()

    early = await delivery.refused(delivery.move("CompletePackage", south.package_sn, by=MERCHANT))
    second = await delivery.create("DRIVER_TO_USER", [order], leg=1, by=MERCHANT, warehouse_id="4")

    assert early.reason == "ILLEGAL_TRANSITION"
    assert [(item.sku, item.quantity) for item in second.items] == [("A", 2)]


async def test_a_second_leg_goes_by_driver_and_from_a_warehouse(delivery: Delivery) -> None:
    order, _ = await received(delivery)

    workflow = await delivery.refused(delivery.create("MERCHANT_TO_USER", [order], leg=1, by=WAREHOUSE))
    warehouse = await delivery.refused(onward(delivery, order, warehouse_id=""))
    foreign = await delivery.refused(
        delivery.create("DRIVER_TO_USER", [order], leg=1, by=actor("warehouse", 4))
    )

    assert [field for field, _ in workflow.violations] == ["workflow"]
    assert [field for field, _ in warehouse.violations] == ["warehouse_id"]
    assert foreign.reason == "NOT_YOUR_PACKAGE"


async def test_a_second_leg_is_prepared_by_the_warehouse_and_not_by_the_merchant(delivery: Delivery) -> None:
    order, _ = await received(delivery)
    second = await onward(delivery, order)
    photo = await delivery.upload(second.package_sn, "PREPARATION")

    refusal = await delivery.refused(
        delivery.move("PreparePackage", second.package_sn, by=MERCHANT, evidence_ids=[photo.evidence_id])
    )

    assert refusal.reason == "WRONG_ACTOR"
