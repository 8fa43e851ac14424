"""Packages that the old application wrote, and goes on writing, beside the service."""

import grpc
import pytest
from holdfast.delivery.v1 import order_pb2
from holdfast.delivery.v1 import package_pb2 as pb
from sqlalchemy import text

from tests.delivery_service.client import DISPATCHER, DRIVER_ID, MERCHANT, WAREHOUSE, Delivery, Metadata

COLLATION = (
    "SELECT collation_name FROM information_schema.columns WHERE table_schema = DATABASE()"
    " AND table_name = 'tigu_prepare_goods' AND column_name = 'prepare_sn'"
)


async def execute(delivery: Delivery, *statements: str) -> None:
    """What the old application does."""
    async with delivery.engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def adopted(delivery: Delivery) -> str:
    """A package of order 1 by the old application, filled in by the migration."""
    await execute(
        delivery,
        "INSERT INTO tigu_order (id, order_sn, user_id, shop_id, order_status) VALUES (1, 'O1', 1, 7, 1)",
        "INSERT INTO tigu_order_item (id, order_id, product_id, sku_id, quantity) VALUES (11, 1, 80, 90, 2)",
        "INSERT INTO tigu_prepare_goods (id, prepare_sn, order_ids, delivery_type, shipping_type, shop_id,"
        " prepare_status) VALUES (1, 'PG1', '1', 1, 1, 7, NULL)",
        "INSERT INTO tigu_prepare_goods_item (prepare_id, order_item_id, product_id, sku_id, quantity)"
        " VALUES (1, 11, 80, 90, 2)",
        "INSERT INTO tigu_prepare_goods_order VALUES (1, 1, 0)",
    )
    return "PG1"


async def test_an_old_package_is_read_as_pending_without_a_hold_its_stock_named_by_number(
    delivery: Delivery,
) -> None:
    package = await delivery.get(await adopted(delivery))

    assert (package.state, package.stock_state) == (pb.PACKAGE_STATE_PENDING, pb.STOCK_STATE_NOT_TRACKED)
    assert [(item.sku, item.quantity) for item in package.items] == [("90", 2)]
    listed = await delivery.stub.ListPackages(
        pb.ListPackagesRequest(state=pb.PACKAGE_STATE_PENDING), timeout=10
    )
    assert [package.package_sn for package in listed.packages] == ["PG1"]


async def test_old_and_new_packages_that_wait_are_counted_together(delivery: Delivery) -> None:
    package = await delivery.get(await adopted(delivery))
    await delivery.create(pb.Workflow.Name(package.workflow).removeprefix("WORKFLOW_"))

    reply = await delivery.stub.GetWorkflowDistribution(pb.GetWorkflowDistributionRequest(), timeout=10)

    (share,) = [share for share in reply.workflows if share.workflow == package.workflow]
    assert [(count.state, count.packages) for count in share.states] == [(pb.PACKAGE_STATE_PENDING, 2)]
    assert (share.packages, share.orders) == (2, 2)


async def test_an_old_package_goes_its_way_and_asks_nothing_of_inventory(delivery: Delivery) -> None:
    package = await delivery.get(await adopted(delivery))

    package = await delivery.drive(package)

    assert (package.state, package.stock_state) == (pb.PACKAGE_STATE_COMPLETED, pb.STOCK_STATE_NOT_TRACKED)
    assert delivery.inventory.calls == []
    assert await delivery.findings() == []


async def test_an_old_package_may_ask_for_a_hold(delivery: Delivery) -> None:
    delivery.inventory.stock["90"] = 5
    package_sn = await adopted(delivery)

    reply = await delivery.stub.RetryReservation(
        pb.RetryReservationRequest(package_sn=package_sn), metadata=MERCHANT, timeout=10
    )

    assert (reply.package.stock_state, reply.package.reservation_id) == (pb.STOCK_STATE_HELD, "PG1:1")
    assert delivery.inventory.held("90") == 2


async def test_an_order_whose_package_the_old_application_cancelled_can_be_packed(delivery: Delivery) -> None:
    delivery.inventory.stock["90"] = 5
    await adopted(delivery)
    refusal = await delivery.refused(delivery.create("DRIVER_TO_USER", ["1"]))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_ALREADY_PACKED")

    await execute(delivery, "UPDATE tigu_prepare_goods SET prepare_status = 7")

    package = await delivery.create("DRIVER_TO_USER", ["1"])
    assert [(item.sku, item.quantity) for item in package.items] == [("90", 2)]


async def test_a_photo_of_a_package_that_is_named_in_another_spelling_proves_its_steps(
    delivery: Delivery,
) -> None:
    await adopted(delivery)
    spelt = "ALTER TABLE tigu_prepare_goods MODIFY prepare_sn VARCHAR(64) COLLATE {} NOT NULL"
    async with delivery.engine.connect() as connection:
        exact = (await connection.execute(text(COLLATION))).scalar_one()
    await execute(delivery, spelt.format("utf8mb4_general_ci"))
    try:
        photo = await delivery.upload("pg1", "PREPARATION")
        steps = [
            await delivery.move("PreparePackage", package_sn, by=MERCHANT, evidence_ids=[photo.evidence_id])
            for package_sn in ("pg1", "PG1")
        ]
    finally:
        await execute(delivery, spelt.format(exact))

    assert photo.package_sn == "PG1"
    assert [step.state for step in steps] == [pb.PACKAGE_STATE_PREPARED] * 2
    assert await delivery.findings() == []


async def test_only_the_orders_whose_leg_is_taken_are_named(delivery: Delivery) -> None:
    orders = [await delivery.order({"A": 1}, order_id) for order_id in (4, 5, 6)]
    # Of a package that is gone; an active one is named before anything is written.
    await execute(delivery, "INSERT INTO tigu_prepare_goods_order VALUES (99, 5, 0)")

    refusal = await delivery.refused(delivery.create("MERCHANT_TO_USER", orders))

    assert (refusal.reason, refusal.metadata) == ("ORDER_ALREADY_PACKED", {"order_ids": "5", "leg": "0"})
    assert [subject for subject, _ in refusal.violations] == ["5"]
    await execute(delivery, "DELETE FROM tigu_prepare_goods_order")


async def adopted_on_its_way(delivery: Delivery, status: int) -> str:
    """A package without items that the old application sent to a warehouse, and left its order waiting for that."""
    package_sn = await adopted(delivery)
    await execute(
        delivery,
        "DELETE FROM tigu_prepare_goods_item",
        f"UPDATE tigu_prepare_goods SET prepare_status = {status}",  # noqa: S608
        "UPDATE tigu_prepare_goods SET shipping_type = 0, warehouse_id = 3, driver_id = 6, legacy_write_time = NULL",
        # As the adoption writes it.
        "UPDATE tigu_order SET shipping_status = 0, order_status = 1",
    )
    return package_sn


@pytest.mark.parametrize(
    ("status", "method", "by"), [(5, "CompletePackage", MERCHANT), (3, "ShipPackage", WAREHOUSE)]
)
async def test_a_step_of_a_package_that_left_with_the_old_application_brings_its_order_along(
    delivery: Delivery, status: int, method: str, by: Metadata
) -> None:
    package_sn = await adopted_on_its_way(delivery, status)
    shown = [(await delivery.upload(package_sn, "SHIPPING", by=by)).evidence_id] if status == 3 else []

    await delivery.move(method, package_sn, by=by, evidence_ids=shown)

    order = (await delivery.stub.GetOrder(order_pb2.GetOrderRequest(order_id="1"), timeout=10)).order
    assert order.status == order_pb2.ORDER_STATUS_PENDING_RECEIPT
    assert await delivery.findings() == []


async def test_what_moves_no_package_leaves_its_order_as_the_old_application_left_it(
    delivery: Delivery,
) -> None:
    package_sn = await adopted_on_its_way(delivery, 2)

    await delivery.move("AssignDriver", package_sn, by=DISPATCHER, driver_id=DRIVER_ID)

    order = (await delivery.stub.GetOrder(order_pb2.GetOrderRequest(order_id="1"), timeout=10)).order
    assert order.status == order_pb2.ORDER_STATUS_PENDING_SHIPMENT
    assert await delivery.findings() == []


async def test_a_new_package_beside_one_that_left_with_the_old_application_brings_its_order_along(
    delivery: Delivery,
) -> None:
    delivery.inventory.stock["90"] = 5
    await adopted_on_its_way(delivery, 6)

    await delivery.create("DRIVER_TO_USER", ["1"])

    order = (await delivery.stub.GetOrder(order_pb2.GetOrderRequest(order_id="1"), timeout=10)).order
    assert order.status == order_pb2.ORDER_STATUS_PENDING_RECEIPT
    await delivery.quiet()
    assert await delivery.findings() == []
