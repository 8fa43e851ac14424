"""Orders as an order system tells of them, and as everybody reads them."""

import asyncio
from typing import Any

import grpc
import pytest
from holdfast.delivery.v1 import order_pb2 as pb
from holdfast.delivery.v1 import package_pb2
from structlog.testing import capture_logs

from tests.delivery_service.client import MERCHANT, Delivery, refused


def request(**fields: Any) -> pb.RegisterOrderRequest:
    """An order of two things."""
    given: dict[str, Any] = {
        "order_id": "77",
        "user_id": "1",
        "shop_id": "7",
        "items": [
            pb.OrderItem(sku="A", quantity=2, product_name="Lamp"),
            pb.OrderItem(sku="B", quantity=1),
        ],
        "receiver": pb.Receiver(name="Receiver", city="Here"),
    }
    return pb.RegisterOrderRequest(**given | fields)


async def test_an_order_is_registered_and_read_as_it_was_told(delivery: Delivery) -> None:
    order = (await delivery.stub.RegisterOrder(request(), timeout=10)).order

    assert (order.order_id, order.order_sn, order.shop_id) == ("77", "O77", "7")
    assert order.status == pb.ORDER_STATUS_PENDING_SHIPMENT
    assert [(item.sku, item.quantity, item.product_name) for item in order.items] == [
        ("A", 2, "Lamp"),
        ("B", 1, ""),
    ]
    assert all(item.order_item_id for item in order.items)
    assert (order.receiver.name, order.receiver.city) == ("Receiver", "Here")
    assert list(order.packages) == []
    read = await delivery.stub.GetOrder(pb.GetOrderRequest(order_id="77"), timeout=10)
    assert read.order == order


async def test_the_same_order_again_and_at_once_is_one_order(delivery: Delivery) -> None:
    replies = await asyncio.gather(*(delivery.stub.RegisterOrder(request(), timeout=10) for _ in range(10)))

    assert len({reply.SerializeToString() for reply in replies}) == 1


async def test_a_payment_that_is_told_at_once_with_the_order_is_never_lost(delivery: Delivery) -> None:
    unpaid, paid = pb.ORDER_STATUS_PENDING_PAYMENT, pb.ORDER_STATUS_PENDING_SHIPMENT

    for number in range(5):
        told = [request(order_id=f"9{number}", status=status) for status in (unpaid, paid) * 5]
        await asyncio.gather(*(delivery.stub.RegisterOrder(each, timeout=10) for each in told))

        read = await delivery.stub.GetOrder(pb.GetOrderRequest(order_id=f"9{number}"), timeout=10)
        assert read.order.status == paid


async def test_those_who_tell_of_one_known_order_wait_for_each_other_and_none_runs_again(
    delivery: Delivery,
) -> None:
    unpaid, paid = pb.ORDER_STATUS_PENDING_PAYMENT, pb.ORDER_STATUS_PENDING_SHIPMENT
    with capture_logs() as logs:
        for order_id in ("91", "92", "93"):
            await delivery.stub.RegisterOrder(request(order_id=order_id, status=unpaid), timeout=10)
            told = [request(order_id=order_id, status=paid)] * 60
            await asyncio.gather(*(delivery.stub.RegisterOrder(each, timeout=10) for each in told))

    assert [entry for entry in logs if entry["event"] == "transaction runs again"] == []


@pytest.mark.parametrize(
    "other",
    [
        {"shop_id": "8"},
        {"items": [pb.OrderItem(sku="A", quantity=3)]},
        {"receiver": pb.Receiver()},
        {"order_id": "78", "order_sn": "O77"},
    ],
)
async def test_other_content_under_a_known_number_is_refused(
    delivery: Delivery, other: dict[str, Any]
) -> None:
    await delivery.stub.RegisterOrder(request(), timeout=10)

    refusal = await delivery.refused(delivery.stub.RegisterOrder(request(**other), timeout=10))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ORDER_EXISTS")


async def test_a_payment_that_came_in_makes_the_order_shippable_and_nothing_goes_back(
    delivery: Delivery,
) -> None:
    unpaid, paid = pb.ORDER_STATUS_PENDING_PAYMENT, pb.ORDER_STATUS_PENDING_SHIPMENT

    statuses = [
        (await delivery.stub.RegisterOrder(request(status=status), timeout=10)).order.status
        for status in (unpaid, paid, unpaid)
    ]

    assert statuses == [unpaid, paid, paid]


async def test_an_order_is_cancelled_until_its_goods_have_left(delivery: Delivery) -> None:
    called_off, paid = pb.ORDER_STATUS_CANCELLED, pb.ORDER_STATUS_PENDING_SHIPMENT
    delivery.inventory.stock.update({"A": 9, "B": 9})
    for order_id in ("77", "78"):
        await delivery.stub.RegisterOrder(request(order_id=order_id), timeout=10)
    await delivery.drive(await delivery.create("MERCHANT_TO_USER", ["78"]), until="DeliverPackage")

    statuses = [
        (
            await delivery.stub.RegisterOrder(request(order_id=order_id, status=status), timeout=10)
        ).order.status
        for order_id, status in (("77", called_off), ("77", paid), ("78", called_off))
    ]

    assert statuses == [called_off, called_off, pb.ORDER_STATUS_PENDING_RECEIPT]


async def test_a_package_of_a_cancelled_order_can_only_be_cancelled(delivery: Delivery) -> None:
    delivery.inventory.stock.update({"A": 9, "B": 9})
    await delivery.stub.RegisterOrder(request(), timeout=10)
    package = await delivery.create("DRIVER_TO_USER", ["77"])
    photo = await delivery.upload(package.package_sn, "PREPARATION")
    await delivery.stub.RegisterOrder(request(status=pb.ORDER_STATUS_CANCELLED), timeout=10)

    prepare = delivery.move(
        "PreparePackage", package.package_sn, by=MERCHANT, evidence_ids=[photo.evidence_id]
    )
    refusal = await delivery.refused(prepare)
    asked = package_pb2.ListAllowedTransitionsRequest(package_sn=package.package_sn)
    told = await delivery.stub.ListAllowedTransitions(asked, metadata=MERCHANT, timeout=10)
    cancelled = await delivery.move("CancelPackage", package.package_sn, by=MERCHANT, reason="called off")

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ILLEGAL_TRANSITION")
    assert refusal.metadata["why"] == "order 77 is CANCELLED"
    assert refusal.metadata["allowed"] == "CANCEL"
    assert [package_pb2.Verb.Name(each.verb) for each in told.transitions if each.allowed] == ["VERB_CANCEL"]
    assert cancelled.state == package_pb2.PACKAGE_STATE_CANCELLED
    await delivery.stock_state(package.package_sn, "RELEASED")
    assert (delivery.inventory.held("A"), delivery.inventory.held("B")) == (0, 0)


async def test_every_violation_of_an_order_is_named_at_once(delivery: Delivery) -> None:
    bad = pb.RegisterOrderRequest(
        order_id="0",
        user_id="",
        shop_id="x",
        order_sn="a b",
        status=99,  # type: ignore[arg-type]
        items=[
            pb.OrderItem(order_item_id="4", sku="A", quantity=1),
            pb.OrderItem(order_item_id="4", sku="", quantity=-1),
        ],
        receiver=pb.Receiver(name="x" * 65),
    )

    refusal = await delivery.refused(delivery.stub.RegisterOrder(bad, timeout=10))

    assert sorted(field for field, _ in refusal.violations) == [
        "items[1].order_item_id",
        "items[1].quantity",
        "items[1].sku",
        "order_id",
        "order_sn",
        "receiver.name",
        "shop_id",
        "status",
        "user_id",
    ]


@pytest.mark.parametrize("method", ["GetOrder", "GetOrderDeliveryType", "ListOrderPackages"])
async def test_an_unknown_order_is_not_found(delivery: Delivery, method: str) -> None:
    call = getattr(delivery.stub, method)(getattr(pb, f"{method}Request")(order_id="404"), timeout=10)

    refusal = await refused(call)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "ORDER_NOT_FOUND")
    assert refusal.resource == ("order", "404")


async def test_the_delivery_type_is_none_or_that_of_the_active_package(delivery: Delivery) -> None:
    order = await delivery.order({"A": 1})
    asked = pb.GetOrderDeliveryTypeRequest(order_id=order)

    none = await delivery.stub.GetOrderDeliveryType(asked, timeout=10)
    package = await delivery.create("DRIVER_TO_USER", [order])
    one = await delivery.stub.GetOrderDeliveryType(asked, timeout=10)
    await delivery.move("CancelPackage", package.package_sn, by=MERCHANT, reason="x")
    past = await delivery.stub.GetOrderDeliveryType(asked, timeout=10)

    assert (none.answer, list(none.packages)) == (pb.DELIVERY_TYPE_ANSWER_NONE, [])
    assert (one.answer, one.delivery_type) == (pb.DELIVERY_TYPE_ANSWER_ONE, package_pb2.DELIVERY_TYPE_DRIVER)
    assert past.answer == pb.DELIVERY_TYPE_ANSWER_NONE


async def test_past_packages_of_an_order_are_listed_too(delivery: Delivery) -> None:
    order = await delivery.order({"A": 1})
    first = await delivery.create("DRIVER_TO_USER", [order])
    await delivery.move("CancelPackage", first.package_sn, by=MERCHANT, reason="x")
    second = await delivery.create("MERCHANT_TO_USER", [order])

    reply = await delivery.stub.ListOrderPackages(pb.ListOrderPackagesRequest(order_id=order), timeout=10)

    assert [package.package_sn for package in reply.packages] == [second.package_sn, first.package_sn]


async def test_orders_are_listed_newest_first_by_shop_and_status(delivery: Delivery) -> None:
    for order_id in range(1, 6):
        await delivery.order({"A": 1}, order_id=order_id)
    await delivery.order({"A": 1}, order_id=6, shop_id="8")
    await delivery.order({"A": 1}, order_id=7, status=pb.ORDER_STATUS_CANCELLED)
    wanted = pb.ListOrdersRequest(shop_id="7", status=pb.ORDER_STATUS_PENDING_SHIPMENT, page_size=2)

    seen = []
    for _ in range(3):
        reply = await delivery.stub.ListOrders(wanted, timeout=10)
        seen += [order.order_id for order in reply.orders]
        wanted.page_token = reply.next_page_token

    assert seen == ["5", "4", "3", "2", "1"]
    assert wanted.page_token == ""
