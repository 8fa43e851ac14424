"""Packages that the old application wrote, and goes on writing, beside the service."""

import grpc
from holdfast.delivery.v1 import package_pb2 as pb
from sqlalchemy import text

from tests.delivery_service.client import MERCHANT, Delivery

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
