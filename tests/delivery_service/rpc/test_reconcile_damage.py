"""What Reconcile makes of rows that somebody damaged or lost: never less truth, and never more goods."""

import pytest
from holdfast.delivery.v1 import directory_pb2
from holdfast.delivery.v1 import package_pb2 as pb
from holdfast.ops.v1 import ops_pb2

from tests.delivery_service.client import DRIVER_ID, MERCHANT, Delivery
from tests.delivery_service.rpc.reconciling import execute, reconcile
from tests.support.drifts import LONG_AGO

NO_MORE = "left to people: more is packed than was ordered of order items 11; correct the quantities in"


async def reconciled(delivery: Delivery) -> list[ops_pb2.ReconcileResponse]:
    """What was answered until there was nothing to repair, twice at most."""
    first = await reconcile(delivery, validate_only=False)
    return [*first, *await reconcile(delivery, validate_only=False)]


@pytest.mark.parametrize("state", ["HELD", "COMMITTED"])
async def test_no_repair_takes_more_than_was_ordered(delivery: Delivery, state: str) -> None:
    order_id = await delivery.order({"A": 1})
    package = await delivery.create("MERCHANT_TO_USER", [order_id], package_sn="PG1")
    await execute(delivery, "UPDATE tigu_order_item SET id = 11")
    await execute(delivery, "UPDATE tigu_prepare_goods_item SET order_item_id = 11")
    if state == "COMMITTED":
        await delivery.drive(package, until="DeliverPackage")
    before = await delivery.stock_state("PG1", state)
    await delivery.quiet()
    await execute(delivery, "UPDATE tigu_prepare_goods_item SET quantity = 99")
    await execute(delivery, LONG_AGO)
    rows, holds = await delivery.everything(), dict(delivery.inventory.known)

    assert "PG1: more is packed than was ordered" in await delivery.findings("reservations")
    answers = await reconciled(delivery)

    assert answers
    for answer in answers:
        assert not answer.repaired
        assert answer.repair.startswith((NO_MORE, "left to people: inventory has booked the goods out"))
    assert await delivery.everything() == rows
    assert delivery.inventory.known == holds
    assert (await delivery.get("PG1")).stock_state == before.stock_state
    await execute(delivery, "UPDATE tigu_prepare_goods_item SET quantity = 1")
    assert await delivery.findings() == []


async def test_packages_that_share_what_was_ordered_are_not_more_than_it(delivery: Delivery) -> None:
    order_id = await delivery.order({"A": 3})
    for quantity in (1, 2):
        items = [pb.PackageItem(sku="A", quantity=quantity)]
        await delivery.drive(await delivery.create("MERCHANT_TO_USER", [order_id], items=items))
    await delivery.quiet()

    assert await delivery.findings() == []


@pytest.mark.parametrize("lost", ["sequence >= 1", "sequence >= 2", "sequence >= 4", "sequence IN (2, 3)"])
async def test_a_package_under_way_keeps_its_driver_whatever_of_its_timeline_is_lost(
    delivery: Delivery, lost: str
) -> None:
    package = await delivery.create("DRIVER_TO_USER", package_sn="PG1")
    await delivery.drive(package, until="PickUpPackage")
    await delivery.quiet()
    await execute(delivery, f"DELETE FROM package_event WHERE {lost}")  # noqa: S608

    answers = await reconciled(delivery)

    assert answers
    assert all(answer.repaired for answer in answers)
    assert await delivery.findings() == []
    assert (await delivery.get("PG1")).driver_id == DRIVER_ID


async def test_a_claim_outlives_its_timeline_whatever_became_of_its_driver(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER", package_sn="PG1")
    await delivery.drive(package, until="ClaimPackage")
    await delivery.quiet()
    gone_home = directory_pb2.SetDriverActiveRequest(driver_id=DRIVER_ID, active=False)
    await delivery.stub.SetDriverActive(gone_home, timeout=10)
    await execute(delivery, "DELETE FROM package_event")

    answers = await reconciled(delivery)

    assert [answer.repaired for answer in answers] == [True]
    assert (await delivery.get("PG1")).driver_id == DRIVER_ID
    assert await delivery.findings() == []


async def test_events_that_do_not_follow_each_other_are_found_and_left_to_people(delivery: Delivery) -> None:
    package = await delivery.create("MERCHANT_TO_USER", package_sn="PG1")
    await delivery.drive(package, until="DeliverPackage")
    await delivery.quiet()
    right = "UPDATE package_event SET to_status = 0 WHERE sequence = 2"
    await execute(delivery, "UPDATE package_event SET to_status = 4 WHERE sequence = 2")
    before = await delivery.everything()

    (answer,) = await reconcile(delivery, validate_only=False)

    assert (answer.finding.check, answer.finding.subject) == ("events", "PG1")
    assert answer.finding.description == "events do not follow each other"
    assert dict(answer.finding.facts) == {"sequences": "3"}
    assert not answer.repaired
    assert answer.repair.startswith("left to people: ")
    assert await delivery.everything() == before
    await execute(delivery, right)
    assert await delivery.findings() == []


async def test_a_package_that_was_cancelled_takes_nothing_of_what_was_ordered(delivery: Delivery) -> None:
    order_id = await delivery.order({"A": 3})
    await delivery.create("MERCHANT_TO_USER", [order_id], package_sn="PG1")
    await delivery.move("CancelPackage", "PG1", by=MERCHANT, reason="no")
    await delivery.create("MERCHANT_TO_USER", [order_id], package_sn="PG2")
    await delivery.quiet()

    assert await delivery.findings() == []
