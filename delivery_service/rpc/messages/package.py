"""Packages on the wire."""

from collections.abc import Iterable, Sequence

from holdfast.delivery.v1 import package_pb2 as pb

from delivery_service.application.create_package import CreatePackage
from delivery_service.application.ports import PackageFilter
from delivery_service.domain.package import Package, PackageItem
from delivery_service.domain.package_event import Actor
from delivery_service.domain.workflow import Verb, Workflow
from delivery_service.rpc.messages.order import delivery_type, shipping_type
from delivery_service.rpc.messages.words import (
    STATES,
    STOCK_STATES,
    WORKFLOWS,
    number,
    optional_id,
)
from servicekit.rpc.etags import etag
from servicekit.rpc.paging import Page, requested_page
from servicekit.rpc.times import timestamp
from servicekit.rpc.validation import Violations

MOST_ITEMS = 200
MOST_ORDERS = 200

_STEP_FIELDS = {
    Verb.PREPARE: "prepare_time",
    Verb.CLAIM: "claim_time",
    Verb.PICK_UP: "pick_up_time",
    Verb.ARRIVE: "arrive_time",
    Verb.RECEIVE: "receive_time",
    Verb.SHIP: "ship_time",
    Verb.DELIVER: "deliver_time",
    Verb.COMPLETE: "complete_time",
    Verb.CANCEL: "cancel_time",
}


def create_package(request: pb.CreatePackageRequest, actor: Actor, trace: str) -> CreatePackage:
    """The command of a CreatePackage."""
    with Violations() as v:
        v.request_id(request.request_id)
        workflow = v.choice("workflow", request.workflow, WORKFLOWS) or Workflow.DRIVER_TO_USER
        if request.leg not in (0, 1):
            v.add("leg", "must be 0 (from the merchant) or 1 (from the warehouse)")
        elif request.leg == 1 and workflow is not Workflow.DRIVER_TO_USER:
            v.add("workflow", "must be DRIVER_TO_USER on leg 1")
        needs_warehouse = workflow.through_warehouse or request.leg == 1
        return CreatePackage(
            package_sn=v.optional_name("package_sn", request.package_sn),
            workflow=workflow,
            leg=request.leg,
            shop_id=v.decimal_id("shop_id", request.shop_id),
            warehouse_id=v.decimal_id("warehouse_id", request.warehouse_id) if needs_warehouse else None,
            order_ids=_order_ids(v, request.order_ids),
            items=tuple(_items(v, request.items)),
            actor=actor,
            trace=trace,
        )


def package_sn(request: pb.GetPackageRequest | pb.ListAllowedTransitionsRequest) -> str:
    """The package that a request names."""
    with Violations() as v:
        return v.name("package_sn", request.package_sn)


def list_packages(request: pb.ListPackagesRequest) -> tuple[PackageFilter, Page]:
    """What a ListPackages asks for."""
    with Violations() as v:
        wanted = PackageFilter(
            workflow=v.optional_choice("workflow", request.workflow, WORKFLOWS),
            state=v.optional_choice("state", request.state, STATES),
            stock_state=v.optional_choice("stock_state", request.stock_state, STOCK_STATES),
            shop_id=v.optional_decimal_id("shop_id", request.shop_id),
            driver_id=v.optional_decimal_id("driver_id", request.driver_id),
            warehouse_id=v.optional_decimal_id("warehouse_id", request.warehouse_id),
            order_id=v.optional_decimal_id("order_id", request.order_id),
            claimable=request.available_for_claiming,
        )
        page = requested_page(v, request)
        return wanted, page


def package_message(package: Package) -> pb.Package:
    """A package on the wire."""
    message = pb.Package(
        package_sn=package.package_sn,
        workflow=number(WORKFLOWS, package.workflow),
        delivery_type=delivery_type(package.workflow),
        shipping_type=shipping_type(package.workflow),
        leg=package.leg,
        shop_id=str(package.shop_id),
        warehouse_id=optional_id(package.warehouse_id),
        driver_id=optional_id(package.driver_id),
        order_ids=map(str, package.order_ids),
        items=map(_item_message, package.items),
        state=number(STATES, package.state),
        stock_state=number(STOCK_STATES, package.stock_state),
        attempt=package.attempt,
        reservation_id=package.reservation_id or "",
        rejection_reason=package.rejection_reason or "",
        shortages=[
            pb.Shortage(
                sku=shortage.sku,
                quantity=shortage.quantity,
                available_quantity=shortage.available_quantity,
                description=shortage.description,
            )
            for shortage in package.shortages
        ],
        etag=etag(package.version),
        # Stored in whole seconds, so that a fresh answer and a later one agree.
        create_time=timestamp(package.create_time.replace(microsecond=0)),
        update_time=timestamp(package.update_time.replace(microsecond=0)),
    )
    for verb, field in _STEP_FIELDS.items():
        if time := timestamp(package.step_times.get(verb)):
            getattr(message, field).CopyFrom(time)
    return message


def _order_ids(v: Violations, order_ids: Sequence[str]) -> tuple[int, ...]:
    v.count("order_ids", len(order_ids), least=1, most=MOST_ORDERS)
    ids: list[int] = []
    for index, text in enumerate(order_ids[:MOST_ORDERS]):
        order_id = v.decimal_id(f"order_ids[{index}]", text)
        if order_id and order_id in ids:
            v.add(f"order_ids[{index}]", "is in the list twice")
        ids.append(order_id)
    return tuple(ids)


def _items(v: Violations, items: Sequence[pb.PackageItem]) -> Iterable[PackageItem]:
    v.count("items", len(items), most=MOST_ITEMS)
    for index, item in enumerate(items[:MOST_ITEMS]):
        path = f"items[{index}]"
        yield PackageItem(
            v.optional_decimal_id(f"{path}.order_item_id", item.order_item_id),
            v.name(f"{path}.sku", item.sku),
            v.quantity(f"{path}.quantity", item.quantity, least=1),
        )


def _item_message(item: PackageItem) -> pb.PackageItem:
    return pb.PackageItem(order_item_id=optional_id(item.order_item_id), sku=item.sku, quantity=item.quantity)
