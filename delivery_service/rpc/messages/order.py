"""Orders on the wire."""

from collections.abc import Iterable, Sequence

from holdfast.delivery.v1 import order_pb2 as pb
from holdfast.delivery.v1 import package_pb2

from delivery_service.application.ports import OrderFilter
from delivery_service.application.register_order import RegisterOrder
from delivery_service.domain.order import Order, OrderItem, OrderPackage, Receiver
from delivery_service.domain.workflow import OrderStatus, Workflow
from delivery_service.rpc.messages.words import ORDER_STATUSES, STATES, WORKFLOWS, number
from servicekit.rpc.paging import Page, requested_page
from servicekit.rpc.times import timestamp
from servicekit.rpc.validation import Violations

MOST_ITEMS = 200
_RECEIVER_LENGTHS = {
    "name": 64,
    "phone": 32,
    "province": 64,
    "city": 64,
    "district": 64,
    "address": 256,
    "postal_code": 16,
}


def register_order(request: pb.RegisterOrderRequest) -> RegisterOrder:
    """The command of a RegisterOrder."""
    with Violations() as v:
        v.request_id(request.request_id)
        order_id = v.decimal_id("order_id", request.order_id)
        status = v.optional_choice("status", request.status, ORDER_STATUSES)
        return RegisterOrder(
            order_id=order_id,
            order_sn=v.optional_name("order_sn", request.order_sn) or f"O{order_id}",
            user_id=v.decimal_id("user_id", request.user_id),
            shop_id=v.decimal_id("shop_id", request.shop_id),
            status=status or OrderStatus.PENDING_SHIPMENT,
            items=tuple(_items(v, request.items)),
            receiver=Receiver(
                **{
                    name: v.text(f"receiver.{name}", getattr(request.receiver, name), most=most)
                    for name, most in _RECEIVER_LENGTHS.items()
                }
            ),
        )


def order_id(request: pb.GetOrderRequest | pb.GetOrderDeliveryTypeRequest) -> int:
    """The order that a request names."""
    with Violations() as v:
        return v.decimal_id("order_id", request.order_id)


def list_orders(request: pb.ListOrdersRequest) -> tuple[OrderFilter, Page]:
    """What a ListOrders asks for."""
    with Violations() as v:
        wanted = OrderFilter(
            shop_id=v.optional_decimal_id("shop_id", request.shop_id),
            user_id=v.optional_decimal_id("user_id", request.user_id),
            status=v.optional_choice("status", request.status, ORDER_STATUSES),
        )
        page = requested_page(v, request)
        return wanted, page


def list_order_packages(request: pb.ListOrderPackagesRequest) -> tuple[int, Page]:
    """What a ListOrderPackages asks for."""
    with Violations() as v:
        wanted = v.decimal_id("order_id", request.order_id)
        page = requested_page(v, request)
        return wanted, page


def order_message(order: Order, packages: Iterable[OrderPackage]) -> pb.Order:
    """An order with those of these packages that are its own."""
    receiver = {name: getattr(order.receiver, name) for name in _RECEIVER_LENGTHS}
    return pb.Order(
        order_id=str(order.order_id),
        order_sn=order.order_sn,
        user_id=str(order.user_id),
        shop_id=str(order.shop_id),
        status=number(ORDER_STATUSES, order.status),
        items=[
            pb.OrderItem(
                order_item_id=str(item.order_item_id),
                sku=item.sku,
                quantity=item.quantity,
                product_name=item.product_name,
            )
            for item in order.items
        ],
        receiver=pb.Receiver(**receiver),
        packages=[_order_package(package) for package in packages if package.order_id == order.order_id],
        create_time=timestamp(order.create_time),
    )


def delivery_type_message(packages: Sequence[OrderPackage]) -> pb.GetOrderDeliveryTypeResponse:
    """NONE, the one type, or AMBIGUOUS; always with the packages that say so."""
    types = {delivery_type(package.workflow) for package in packages}
    if not types:
        answer = pb.DELIVERY_TYPE_ANSWER_NONE
    elif len(types) == 1:
        answer = pb.DELIVERY_TYPE_ANSWER_ONE
    else:
        answer = pb.DELIVERY_TYPE_ANSWER_AMBIGUOUS
    return pb.GetOrderDeliveryTypeResponse(
        answer=answer,
        delivery_type=types.pop() if len(types) == 1 else package_pb2.DELIVERY_TYPE_UNSPECIFIED,
        packages=map(_order_package, packages),
    )


def delivery_type(workflow: Workflow) -> package_pb2.DeliveryType.ValueType:
    """Who carries a package of this workflow."""
    return package_pb2.DELIVERY_TYPE_DRIVER if workflow.by_driver else package_pb2.DELIVERY_TYPE_MERCHANT


def shipping_type(workflow: Workflow) -> package_pb2.ShippingType.ValueType:
    """Where a package of this workflow goes first."""
    if workflow.through_warehouse:
        return package_pb2.SHIPPING_TYPE_TO_WAREHOUSE
    return package_pb2.SHIPPING_TYPE_TO_USER


def _items(v: Violations, items: Sequence[pb.OrderItem]) -> Iterable[OrderItem]:
    v.count("items", len(items), least=1, most=MOST_ITEMS)
    seen: set[int] = set()
    for index, item in enumerate(items[:MOST_ITEMS]):
        path = f"items[{index}]"
        item_id = v.optional_decimal_id(f"{path}.order_item_id", item.order_item_id) or 0
        if item_id and item_id in seen:
            v.add(f"{path}.order_item_id", "is in the order twice")
        seen.add(item_id)
        yield OrderItem(
            item_id,
            v.name(f"{path}.sku", item.sku),
            v.quantity(f"{path}.quantity", item.quantity, least=1),
            v.text(f"{path}.product_name", item.product_name, most=200),
        )


def _order_package(package: OrderPackage) -> pb.OrderPackage:
    return pb.OrderPackage(
        package_sn=package.package_sn,
        workflow=number(WORKFLOWS, package.workflow),
        delivery_type=delivery_type(package.workflow),
        shipping_type=shipping_type(package.workflow),
        state=number(STATES, package.state),
        leg=package.leg,
    )
