"""Rows with a code that nobody knows: refused by name, left out of lists and counts, and in nobody's way."""

from collections.abc import AsyncIterator

import grpc
import pytest
from holdfast.delivery.v1 import order_pb2
from holdfast.delivery.v1 import package_pb2 as pb

from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.transactions import Transactions
from tests.delivery_service.client import DISPATCHER, MERCHANT, Delivery, refused
from tests.delivery_service.conftest import Running
from tests.delivery_service.rpc.reconciling import execute, reconcile

UNREADABLE = grpc.StatusCode.FAILED_PRECONDITION, "PACKAGE_UNREADABLE"


async def damage(delivery: Delivery, table: str, change: str, row: str) -> None:
    await delivery.quiet()
    await execute(delivery, f"UPDATE {table} SET {change} WHERE {row}")  # noqa: S608


@pytest.fixture
async def damaged(delivery: Delivery) -> AsyncIterator[Delivery]:
    """PG1 of the orders 1 and 2 has an unknown status; PG2 of order 3 is sound."""
    delivery.inventory.stock["A"] = 100
    for package_sn, order_ids in (("PG1", (1, 2)), ("PG2", (3,))):
        orders = [await delivery.order({"A": 1}, order_id) for order_id in order_ids]
        await delivery.create("MERCHANT_TO_USER", orders, package_sn=package_sn)
    await damage(delivery, "tigu_prepare_goods", "prepare_status = 42", "prepare_sn = 'PG1'")
    yield delivery
    await damage(delivery, "tigu_prepare_goods", "prepare_status = -1", "prepare_sn = 'PG1'")


async def test_a_package_that_cannot_be_read_is_left_out_of_lists_and_counts(damaged: Delivery) -> None:
    listed = await damaged.stub.ListPackages(pb.ListPackagesRequest(page_size=1), timeout=10)
    of_order = await damaged.stub.ListOrderPackages(
        order_pb2.ListOrderPackagesRequest(order_id="1"), timeout=10
    )
    orders = await damaged.stub.ListOrders(order_pb2.ListOrdersRequest(), timeout=10)
    order = await damaged.stub.GetOrder(order_pb2.GetOrderRequest(order_id="1"), timeout=10)
    counted = await damaged.stub.GetWorkflowDistribution(pb.GetWorkflowDistributionRequest(), timeout=10)

    assert ([p.package_sn for p in listed.packages], listed.next_page_token) == (["PG2"], "")
    assert list(of_order.packages) == []
    assert [len(each.packages) for each in orders.orders] == [1, 0, 0]
    assert list(order.order.packages) == []
    assert [(share.packages, share.orders) for share in counted.workflows if share.packages] == [(1, 1)]


async def test_a_package_that_cannot_be_read_is_refused_by_name_and_nothing_changes(
    damaged: Delivery,
) -> None:
    refusals = [
        await damaged.refused(damaged.get("PG1")),
        await damaged.refused(damaged.move("CancelPackage", "PG1", by=MERCHANT, reason="no")),
        await damaged.refused(damaged.move("AssignDriver", "PG1", by=DISPATCHER, driver_id="5")),
        await damaged.refused(damaged.events("PG1")),
        # What its orders have left to pack cannot be told.
        await damaged.refused(damaged.create("MERCHANT_TO_USER", ["2"])),
    ]

    assert {(refusal.code, refusal.reason) for refusal in refusals} == {UNREADABLE}
    facts = {"package_sn": "PG1", "column": "prepare_status", "value": "42"}
    assert all(refusal.metadata == facts for refusal in refusals)
    assert (await damaged.drive(await damaged.get("PG2"))).state == pb.PACKAGE_STATE_COMPLETED


@pytest.mark.parametrize(
    ("column", "sound"), [("delivery_type", "0"), ("shipping_type", "1"), ("type", "0"), ("stock_state", "2")]
)
async def test_every_code_of_a_package_is_known_or_named(delivery: Delivery, column: str, sound: str) -> None:
    await delivery.create("MERCHANT_TO_USER", package_sn="PG1")
    await damage(delivery, "tigu_prepare_goods", f"{column} = 77", "prepare_sn = 'PG1'")

    refusal = await refused(delivery.get("PG1"))
    listed = await delivery.stub.ListPackages(pb.ListPackagesRequest(), timeout=10)
    orders = await delivery.stub.ListOrders(order_pb2.ListOrdersRequest(), timeout=10)

    await damage(delivery, "tigu_prepare_goods", f"{column} = {sound}", "prepare_sn = 'PG1'")
    assert refusal.metadata == {"package_sn": "PG1", "column": column, "value": "77"}
    assert list(listed.packages) == []
    assert len(orders.orders) == 1


async def test_an_unreadable_package_is_left_out_of_those_that_are_locked_together(
    damaged: Delivery, running: Running
) -> None:
    transactions = Transactions(running.engine, SqlUnitOfWork)

    locked = await transactions.run(lambda uow: uow.packages.lock_free(["PG1", "PG2"]))

    assert set(locked) == {"PG2"}


async def test_an_order_that_cannot_be_read_is_left_out_refused_by_name_and_found(delivery: Delivery) -> None:
    order_id = await delivery.order({"A": 1}, 4)
    await delivery.create("MERCHANT_TO_USER", [order_id], package_sn="PG1")
    await delivery.order({"A": 1}, 5)
    await damage(delivery, "tigu_order", "order_status = 9", "id = 4")

    refusals = [
        await delivery.refused(delivery.move("CancelPackage", "PG1", by=MERCHANT, reason="no")),
        await delivery.refused(delivery.create("MERCHANT_TO_USER", ["4"])),
        await delivery.refused(delivery.order({"A": 1}, 4)),
        await delivery.refused(
            delivery.stub.GetOrder(order_pb2.GetOrderRequest(order_id=order_id), timeout=10)
        ),
    ]
    orders = await delivery.stub.ListOrders(order_pb2.ListOrdersRequest(), timeout=10)

    assert {(refusal.code, refusal.reason) for refusal in refusals} == {(UNREADABLE[0], "ORDER_UNREADABLE")}
    assert refusals[0].metadata == {"order_id": "4", "column": "order_status", "value": "9"}
    assert [order.order_id for order in orders.orders] == ["5"]
    assert (await delivery.get("PG1")).package_sn == "PG1"
    assert await delivery.findings() == ["4: the order has a status that nobody knows"]


async def test_a_repair_that_meets_an_unreadable_order_is_left_to_people_and_others_are_made(
    delivery: Delivery,
) -> None:
    for package_sn, order_id in (("PG1", 4), ("PG2", 5)):
        await delivery.create(
            "MERCHANT_TO_USER", [await delivery.order({"A": 1}, order_id)], package_sn=package_sn
        )
    await damage(delivery, "tigu_order", "order_status = 9", "id = 4")
    await execute(delivery, "UPDATE tigu_prepare_goods SET order_ids = '7'")

    repairs = await reconcile(delivery, "mapping", validate_only=False)

    await damage(delivery, "tigu_order", "order_status = 1", "id = 4")
    await reconcile(delivery, "mapping", validate_only=False)
    assert [(repair.finding.subject, repair.repaired) for repair in repairs] == [
        ("PG1", False),
        ("PG2", True),
    ]
    assert repairs[0].repair.startswith("left to people: order 4 cannot be read")
