"""CreatePackage: what goes in, what is refused, and that inventory's answer is waited for."""

import asyncio

import grpc
import pytest
from holdfast.delivery.v1 import order_pb2
from holdfast.delivery.v1 import package_pb2 as pb

from delivery_service.application.await_settlement import Settlements
from delivery_service.domain.errors import PackageNotFound
from delivery_service.domain.package import Package
from tests.delivery_service.client import (
    DISPATCHER,
    DRIVER,
    MERCHANT,
    SHOP_ID,
    SYSTEM,
    WAREHOUSE,
    Delivery,
    Metadata,
    actor,
    refused,
)
from tests.delivery_service.rpc.reconciling import execute


async def test_a_package_takes_everything_of_its_orders_and_its_stock_is_held(delivery: Delivery) -> None:
    orders = [await delivery.order({"A": 2, "B": 1}), await delivery.order({"A": 3})]

    package = await delivery.create("MERCHANT_TO_USER", orders)

    assert package.package_sn.startswith("PG")
    assert package.package_sn[2:].isdigit()
    assert (package.state, package.stock_state) == (pb.PACKAGE_STATE_PENDING, pb.STOCK_STATE_HELD)
    assert list(package.order_ids) == sorted(orders, key=int)
    assert sorted((item.sku, item.quantity) for item in package.items) == [("A", 2), ("A", 3), ("B", 1)]
    assert package.reservation_id == f"{package.package_sn}:1"
    assert package.warehouse_id == ""
    assert delivery.inventory.known[package.reservation_id].lines == {"A": 5, "B": 1}
    assert await delivery.get(package.package_sn) == package


async def test_named_items_only_are_packed(delivery: Delivery) -> None:
    order = await delivery.order({"A": 2, "B": 1})

    package = await delivery.create("MERCHANT_TO_USER", [order], items=[pb.PackageItem(sku="A", quantity=1)])

    assert [(item.sku, item.quantity) for item in package.items] == [("A", 1)]
    assert package.items[0].order_item_id != ""


async def test_what_a_finished_package_left_can_be_packed_next_and_no_more(delivery: Delivery) -> None:
    order = await delivery.order({"A": 3})
    two, one = ([pb.PackageItem(sku="A", quantity=quantity)] for quantity in (2, 1))
    first = await delivery.drive(await delivery.create("MERCHANT_TO_USER", [order], items=two))
    assert first.state == pb.PACKAGE_STATE_COMPLETED
    await delivery.quiet()

    refusal = await delivery.refused(delivery.create("MERCHANT_TO_USER", [order], items=two))
    rest = await delivery.drive(await delivery.create("MERCHANT_TO_USER", [order], items=one))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_OVERPACKED")
    assert refusal.violations == [("A", "A: 2 wanted, 1 may be packed")]
    found = await delivery.stub.GetOrder(order_pb2.GetOrderRequest(order_id=order), timeout=10)
    assert found.order.status == order_pb2.ORDER_STATUS_COMPLETED
    assert rest.state == pb.PACKAGE_STATE_COMPLETED


async def test_what_a_cancelled_package_held_can_be_packed_again(delivery: Delivery) -> None:
    order = await delivery.order({"A": 3})
    first = await delivery.create("MERCHANT_TO_USER", [order])
    await delivery.move("CancelPackage", first.package_sn, by=MERCHANT, reason="wrong box")

    second = await delivery.create("MERCHANT_TO_USER", [order])

    assert [(item.sku, item.quantity) for item in second.items] == [("A", 3)]


async def test_orders_of_the_old_system_without_items_are_refused(delivery: Delivery) -> None:
    order = await delivery.order({"A": 1})
    await execute(delivery, f"DELETE FROM tigu_order_item WHERE order_id = {order}")  # noqa: S608

    refusal = await delivery.refused(delivery.create("MERCHANT_TO_USER", [order]))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_NOT_SHIPPABLE")
    assert refusal.violations == [(order, "has nothing to pack")]


async def test_what_is_committed_is_answered_in_time_where_it_cannot_be_read_again(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(settlements: Settlements, package_sn: str) -> Package:
        await asyncio.sleep(60)
        raise PackageNotFound(package_sn)

    monkeypatch.setattr(Settlements, "_read", silent)
    order = await delivery.order({"A": 1})

    package = await delivery.create("MERCHANT_TO_USER", [order], seconds=3)

    assert package.stock_state == pb.STOCK_STATE_REQUESTED


@pytest.mark.parametrize("by", [MERCHANT, DISPATCHER, SYSTEM])
async def test_the_shop_a_dispatcher_and_the_system_may_create(delivery: Delivery, by: Metadata) -> None:
    package = await delivery.create("DRIVER_TO_USER", by=by)

    reply = await delivery.stub.ListPackageEvents(
        pb.ListPackageEventsRequest(package_sn=package.package_sn), timeout=10
    )
    assert [(event.verb, event.actor_id) for event in reply.events] == [(pb.VERB_CREATE, by[1][1])]


async def test_every_violation_of_a_request_is_named_at_once(delivery: Delivery) -> None:
    request = pb.CreatePackageRequest(
        package_sn="no spaces",
        shop_id="07",
        order_ids=["1", "1", "x"],
        items=[pb.PackageItem(sku="", quantity=0, order_item_id="-1")],
        leg=2,
        request_id="x" * 65,
    )

    refusal = await delivery.refused(delivery.stub.CreatePackage(request, metadata=MERCHANT, timeout=10))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert [field for field, _ in refusal.violations] == [
        "request_id",
        "workflow",
        "leg",
        "package_sn",
        "shop_id",
        "order_ids[1]",
        "order_ids[2]",
        "items[0].order_item_id",
        "items[0].sku",
        "items[0].quantity",
    ]


@pytest.mark.parametrize("workflow", ["MERCHANT_TO_WAREHOUSE", "DRIVER_TO_WAREHOUSE"])
async def test_a_warehouse_workflow_needs_a_warehouse_that_exists(delivery: Delivery, workflow: str) -> None:
    order = await delivery.order({"A": 1})

    missing = await delivery.refused(delivery.create(workflow, [order], warehouse_id=""))
    unknown = await delivery.refused(delivery.create(workflow, [order], warehouse_id="99"))

    assert [field for field, _ in missing.violations] == ["warehouse_id"]
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "WAREHOUSE_NOT_FOUND")
    assert unknown.resource == ("warehouse", "99")


async def test_an_order_that_does_not_exist_is_named(delivery: Delivery) -> None:
    order = await delivery.order({"A": 1})

    refusal = await delivery.refused(delivery.create("DRIVER_TO_USER", [order, "404"]))

    assert (refusal.reason, refusal.resource) == ("ORDER_NOT_FOUND", ("order", "404"))


async def test_orders_of_another_shop_or_unpaid_are_all_named(delivery: Delivery) -> None:
    foreign = await delivery.order({"A": 1}, shop_id="8")
    unpaid = await delivery.order({"A": 1}, status=order_pb2.ORDER_STATUS_PENDING_PAYMENT)
    good = await delivery.order({"A": 1})

    refusal = await delivery.refused(delivery.create("DRIVER_TO_USER", [foreign, unpaid, good]))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_NOT_SHIPPABLE")
    assert dict(refusal.violations) == {
        foreign: f"is not of shop {SHOP_ID}",
        unpaid: "is PENDING_PAYMENT",
    }


async def test_an_order_in_an_active_package_is_not_packed_again(delivery: Delivery) -> None:
    order = await delivery.order({"A": 2})
    await delivery.create("DRIVER_TO_USER", [order], items=[pb.PackageItem(sku="A", quantity=1)])

    refusal = await delivery.refused(delivery.create("DRIVER_TO_USER", [order]))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_ALREADY_PACKED")
    assert refusal.violations == [(order, "is in an active package of leg 0")]


async def test_every_order_that_cannot_be_packed_is_named_at_once(delivery: Delivery) -> None:
    waiting = await delivery.order({"A": 1}, 3, status=order_pb2.ORDER_STATUS_PENDING_PAYMENT)
    other_shops = await delivery.order({"A": 1}, 4, shop_id="8")
    packed, free = await delivery.order({"A": 1}, 5), await delivery.order({"A": 1}, 6)
    await delivery.create("MERCHANT_TO_USER", [packed])
    await delivery.quiet()
    orders = [waiting, "777", other_shops, packed, free, "778"]

    some = await delivery.refused(delivery.create("MERCHANT_TO_WAREHOUSE", orders, warehouse_id="99"))
    none_unknown = await delivery.refused(delivery.create("MERCHANT_TO_USER", [packed, waiting]))

    assert (some.code, some.reason) == (grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND")
    assert (some.metadata, some.resource) == ({"order_id": "777"}, ("order", "777"))
    assert some.violations == [
        ("777", "there is no order 777"),
        ("778", "there is no order 778"),
        ("99", "there is no warehouse 99"),
        ("3", "is PENDING_PAYMENT"),
        ("4", "is not of shop 7"),
        ("5", "is in an active package of leg 0"),
    ]
    assert (none_unknown.code, none_unknown.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "ORDER_NOT_SHIPPABLE",
    )
    assert none_unknown.violations == [
        ("3", "is PENDING_PAYMENT"),
        ("5", "is in an active package of leg 0"),
    ]


async def test_more_than_was_ordered_is_not_packed(delivery: Delivery) -> None:
    order = await delivery.order({"A": 2})
    wanted = [pb.PackageItem(sku="A", quantity=3), pb.PackageItem(sku="Z", quantity=1)]

    refusal = await delivery.refused(delivery.create("DRIVER_TO_USER", [order], items=wanted))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_OVERPACKED")
    assert refusal.violations == [
        ("A", "A: 3 wanted, 2 may be packed"),
        ("Z", "Z: 1 wanted, 0 may be packed"),
    ]


@pytest.mark.parametrize(
    ("by", "code", "reason"),
    [
        (DRIVER, grpc.StatusCode.PERMISSION_DENIED, "WRONG_ACTOR"),
        (WAREHOUSE, grpc.StatusCode.PERMISSION_DENIED, "WRONG_ACTOR"),
        (actor("merchant", 8), grpc.StatusCode.PERMISSION_DENIED, "NOT_YOUR_PACKAGE"),
        ((), grpc.StatusCode.UNAUTHENTICATED, "ACTOR_MISSING"),
    ],
)
async def test_nobody_else_creates_packages_for_a_shop(
    delivery: Delivery, by: Metadata, code: grpc.StatusCode, reason: str
) -> None:
    order = await delivery.order({"A": 1})

    refusal = await delivery.refused(delivery.create("DRIVER_TO_USER", [order], by=by))

    assert (refusal.code, refusal.reason) == (code, reason)


async def test_a_package_names_as_many_skus_as_one_reservation_takes_and_no_more(delivery: Delivery) -> None:
    orders = [
        await delivery.order({f"sku-{part}-{number:02}": 1 for number in range(100)}) for part in range(3)
    ]

    whole = await delivery.refused(delivery.create("DRIVER_TO_USER", orders))
    package = await delivery.create("DRIVER_TO_USER", orders[:2])

    assert (whole.code, whole.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PACKAGE_TOO_LARGE")
    assert whole.metadata == {"skus": "300", "most": "200"}
    assert package.stock_state == pb.STOCK_STATE_HELD


async def test_orders_whose_ids_contain_each_other_are_told_apart(delivery: Delivery) -> None:
    orders = [await delivery.order({"A": 1}, order_id=order_id) for order_id in (1, 12, 123, 41239)]
    packages = {
        order: (await delivery.create(workflow, [order])).package_sn
        for order, workflow in zip(
            orders, ["MERCHANT_TO_USER", "DRIVER_TO_USER", "MERCHANT_TO_USER", "DRIVER_TO_USER"], strict=True
        )
    }

    for order, package_sn in packages.items():
        found = (await delivery.stub.GetOrder(order_pb2.GetOrderRequest(order_id=order), timeout=10)).order
        assert [package.package_sn for package in found.packages] == [package_sn]
        listed = await delivery.stub.ListPackages(pb.ListPackagesRequest(order_id=order), timeout=10)
        assert [package.package_sn for package in listed.packages] == [package_sn]


async def test_unknown_fields_of_identity_in_the_metadata_are_refused(delivery: Delivery) -> None:
    order = await delivery.order({"A": 1})

    refusal = await refused(delivery.create("DRIVER_TO_USER", [order], by=actor("king", 1)))

    assert refusal.code is grpc.StatusCode.UNAUTHENTICATED
