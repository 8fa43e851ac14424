"""Reconcile: who may, what it tells, what it leaves alone, and how it goes along with live traffic."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from holdfast.delivery.v1 import package_pb2 as pb
from holdfast.ops.v1 import ops_pb2
from sqlalchemy import text

from delivery_service.application.stock_ports import Hold, Refused
from devtools.journey import STEPS
from tests.delivery_service.client import DISPATCHER, MERCHANT, Delivery, Metadata, refused
from tests.delivery_service.conftest import Running
from tests.delivery_service.rpc.reconciling import execute, reconcile
from tests.support.drifts import LONG_AGO


@pytest.mark.parametrize("by", [MERCHANT, ()], ids=["merchant", "nobody"])
async def test_only_operators_reconcile(delivery: Delivery, by: Metadata) -> None:
    async def call() -> None:
        await reconcile(delivery, by=by)

    refusal = await delivery.refused(call())

    assert refusal.reason == "CALLER_NOT_ALLOWED"


async def test_a_repair_is_told_with_who_asked_for_it(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER", package_sn="PG1")
    await execute(delivery, "UPDATE tigu_prepare_goods SET order_ids = '1,2'")

    (answer,) = await reconcile(delivery, "mapping", by=DISPATCHER, validate_only=False)

    assert answer.repaired
    reply = await delivery.stub.ListPackageEvents(pb.ListPackageEventsRequest(package_sn="PG1"), timeout=10)
    event = reply.events[-1]
    assert (pb.Verb.Name(event.verb), event.actor_id, event.note) == (
        "VERB_RECONCILE",
        "control",
        "order_ids was '1,2' and is written from the mapping",
    )
    assert event.from_state == event.to_state == package.state


async def test_a_list_with_a_number_longer_than_any_is_written_from_the_mapping(delivery: Delivery) -> None:
    await delivery.create("MERCHANT_TO_USER", package_sn="PG1")
    await execute(delivery, "UPDATE tigu_prepare_goods SET order_ids = REPEAT('9', 5000)")

    (answer,) = await reconcile(delivery, "mapping", validate_only=False)

    assert answer.repaired


async def test_a_repair_of_the_state_leaves_orders_alone_that_are_only_listed(delivery: Delivery) -> None:
    other = await delivery.order({"A": 1})
    await delivery.create("MERCHANT_TO_USER", package_sn="PG1")
    await execute(delivery, f"UPDATE tigu_order SET shipping_status = 3 WHERE id = {other}")  # noqa: S608
    await execute(delivery, f"UPDATE tigu_prepare_goods SET prepare_status = 5, order_ids = '{other}'")  # noqa: S608
    seen = await seen_as(delivery, other)

    answers = await reconcile(delivery, "events", "mapping", validate_only=False)

    assert [answer.repaired for answer in answers] == [True, True]
    assert await seen_as(delivery, other) == seen


async def test_a_repair_of_an_order_is_told_by_each_of_its_packages(delivery: Delivery) -> None:
    order_id = await delivery.order({"A": 2})
    await delivery.create("MERCHANT_TO_USER", [order_id], package_sn="PG1")
    await delivery.move("CancelPackage", "PG1", by=MERCHANT, reason="no")
    await delivery.drive(await delivery.create("MERCHANT_TO_USER", [order_id], package_sn="PG2"))
    other = await delivery.drive(await delivery.create("MERCHANT_TO_USER", package_sn="PG3"))
    await delivery.quiet()
    right = await seen_as(delivery, order_id)
    await execute(
        delivery,
        f"UPDATE tigu_order SET shipping_status = 1, order_status = 1 WHERE id = {order_id}",  # noqa: S608
    )
    timelines = {sn: await delivery.events(sn) for sn in ("PG1", "PG2", other.package_sn)}
    before = await delivery.everything()

    (would,) = await reconcile(delivery, "orders")

    assert not would.repaired
    assert await delivery.everything() == before

    (answer,) = await reconcile(delivery, "orders", by=DISPATCHER, validate_only=False)

    assert answer.repaired
    assert answer.repair == f"old readers see order {order_id} as COMPLETED, COMPLETED"
    assert await seen_as(delivery, order_id) == right
    assert await delivery.events(other.package_sn) == timelines[other.package_sn]
    for package_sn, state in (("PG1", pb.PACKAGE_STATE_CANCELLED), ("PG2", pb.PACKAGE_STATE_COMPLETED)):
        assert await delivery.events(package_sn) == [*timelines[package_sn], "RECONCILE"]
        request = pb.ListPackageEventsRequest(package_sn=package_sn)
        event = (await delivery.stub.ListPackageEvents(request, timeout=10)).events[-1]
        assert (event.actor_id, event.note) == ("control", answer.repair)
        assert event.from_state == event.to_state == state
    assert await delivery.findings() == []
    assert await reconcile(delivery, validate_only=False) == []


async def seen_as(delivery: Delivery, order_id: str) -> tuple[int, int]:
    """The order's status, and how far it is, as old readers see them."""
    async with delivery.engine.connect() as connection:
        columns = "SELECT order_status, shipping_status FROM tigu_order WHERE id = :id"
        row = (await connection.execute(text(columns), {"id": order_id})).one()
    return row.order_status, row.shipping_status


async def test_a_request_that_is_repeated_answers_its_repairs_and_makes_none(delivery: Delivery) -> None:
    await delivery.create("DRIVER_TO_USER", package_sn="PG1")
    damage = "UPDATE tigu_prepare_goods SET order_ids = '1,2'"
    await execute(delivery, damage)
    first = await reconcile(delivery, "mapping", validate_only=False, request_id="r1")
    await execute(delivery, damage)

    again = await reconcile(delivery, "mapping", validate_only=False, request_id="r1")

    assert again == first
    assert await delivery.findings("mapping") == ["PG1: mapping and order_ids differ"]

    async def other() -> None:
        await reconcile(delivery, "events", validate_only=False, request_id="r1")

    assert (await refused(other())).reason == "REQUEST_ID_REUSED"
    assert len(await reconcile(delivery, "mapping", validate_only=False, request_id="r2")) == 1


async def test_a_hold_that_changed_a_moment_ago_is_left_for_later(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER", package_sn="PG1")
    del delivery.inventory.known[package.reservation_id]

    (answer,) = await reconcile(delivery, "reservations", validate_only=False)

    assert (answer.repaired, answer.repair) == (False, "not yet: the package changed within the last 33 s")
    assert await delivery.get("PG1") == package


async def test_a_hold_without_a_package_is_left_alone_while_its_package_may_be_on_its_way(
    delivery: Delivery,
) -> None:
    young = Hold("lost:1", "HELD", {"A": 1}, datetime.now(UTC) - timedelta(seconds=20))
    old = Hold("lost:2", "HELD", {"A": 1}, datetime.now(UTC) - timedelta(seconds=60))
    delivery.inventory.known.update({"lost:1": young, "lost:2": old})

    answers = await reconcile(delivery, "reservations", validate_only=False)

    assert {answer.finding.subject: (answer.repaired, answer.repair) for answer in answers} == {
        "lost:1": (False, "not yet: the hold was made within the last 33 s"),
        "lost:2": (True, "inventory is told to release the hold"),
    }
    assert delivery.inventory.known["lost:1"] == young


@pytest.mark.parametrize("state", ["HELD", "RELEASED"])
async def test_goods_that_were_booked_out_too_early_are_left_to_people(
    delivery: Delivery, state: str
) -> None:
    package = await delivery.create("MERCHANT_TO_USER", package_sn="PG1")
    if state == "RELEASED":
        await delivery.move("CancelPackage", "PG1", by=MERCHANT, reason="no")
    await delivery.stock_state("PG1", state)
    delivery.inventory.known[package.reservation_id] = Hold("PG1:1", "COMMITTED", {"A": 2})
    await execute(delivery, LONG_AGO)
    before = await delivery.everything()

    (answer,) = await reconcile(delivery, "reservations", validate_only=False)

    assert not answer.repaired
    assert answer.repair.startswith("left to people: inventory has booked")
    assert await delivery.everything() == before


async def test_what_lies_outside_is_changed_only_once_its_repair_is_on_record(delivery: Delivery) -> None:
    delivery.inventory.known["lost:1"] = Hold("lost:1", "HELD", {"A": 1})
    delivery.inventory.refuse["release"] = Refused("PERMISSION_DENIED", "not yours")

    (answer,) = await reconcile(delivery, "reservations", validate_only=False)

    assert not answer.repaired
    assert answer.repair.startswith("not yet: inventory did not release it")
    async with delivery.engine.connect() as connection:
        told = (await connection.execute(text("SELECT subject, repair FROM repair"))).all()
    assert told == [("lost:1", "inventory is told to release the hold")]


async def test_no_record_is_removed_over_a_store_that_has_no_photo_at_all(
    delivery: Delivery, running: Running
) -> None:
    package = await delivery.create("MERCHANT_TO_USER", package_sn="PG1")
    photos = [await delivery.upload(package.package_sn, "PREPARATION") for _ in range(2)]
    await delivery.quiet()
    away = running.photos.rename(running.photos.with_name("away"))
    before = await delivery.everything()

    answers = await reconcile(delivery, "photos", validate_only=False)

    assert {answer.finding.subject for answer in answers} == {photo.evidence_id for photo in photos}
    reason = "left to people: other photos are missing too: see whether this is the right store of photos"
    assert {(answer.repaired, answer.repair) for answer in answers} == {(False, reason)}
    assert await delivery.everything() == before
    away.rename(running.photos)
    assert await delivery.findings("photos") == []


async def test_without_inventory_only_what_needs_none_is_repaired(delivery: Delivery) -> None:
    await delivery.create("DRIVER_TO_USER", package_sn="PG1")
    await execute(delivery, "UPDATE tigu_prepare_goods SET order_ids = '1,2'")
    delivery.inventory.down = True

    answers = await reconcile(delivery, validate_only=False)

    assert [(answer.finding.subject, answer.repaired) for answer in answers] == [
        ("PG1", True),
        ("inventory", False),
    ]


async def test_stock_that_is_short_leaves_a_refused_commit_named_until_there_is_room(
    delivery: Delivery,
) -> None:
    package = await delivery.create("MERCHANT_TO_USER", package_sn="PG1")
    delivery.inventory.known[package.reservation_id] = Hold("PG1:1", "RELEASED", {"A": 2})
    await delivery.drive(await delivery.get("PG1"), until="DeliverPackage")
    await delivery.quiet()
    delivery.inventory.stock["A"] = 1
    assert await delivery.findings("outbox") == ["PG1: COMMIT is parked"]

    await reconcile(delivery, validate_only=False)
    await delivery.quiet()
    assert await delivery.findings("outbox") == ["PG1: COMMIT is parked"]
    delivery.inventory.stock["A"] = 7
    await reconcile(delivery, validate_only=False)

    await delivery.stock_state("PG1", "COMMITTED")
    assert delivery.inventory.stock["A"] == 5
    assert await delivery.findings() == []


async def test_repairs_in_the_midst_of_live_traffic_touch_nothing_that_moves(delivery: Delivery) -> None:
    delivery.inventory.stock["A"] = 1_000
    delivery.inventory.before_answer = lambda: asyncio.sleep(0.02)
    ended = asyncio.Event()

    async def repair() -> AsyncIterator[ops_pb2.ReconcileResponse]:
        while not ended.is_set():
            for answer in await reconcile(delivery, validate_only=False):
                yield answer

    async def journey(number: int) -> str:
        package = await delivery.create("MERCHANT_TO_USER")
        if number % 3 == 0:
            await delivery.move("CancelPackage", package.package_sn, by=MERCHANT, reason="no")
        else:
            await delivery.drive(package)
        return str(package.package_sn)

    async def traffic() -> list[str]:
        try:
            return list(await asyncio.gather(*(journey(number) for number in range(30))))
        finally:
            ended.set()

    async def repaired() -> list[ops_pb2.ReconcileResponse]:
        return [answer async for answer in repair()]

    sns, one, other = await asyncio.gather(traffic(), repaired(), repaired())

    assert [answer for answer in (*one, *other) if answer.repaired] == []
    await delivery.quiet()
    assert await delivery.findings() == []
    for package_sn in sns:
        assert "RECONCILE" not in await delivery.events(package_sn)
    assert delivery.inventory.stock["A"] == 1_000 - 20 * 2


async def test_two_that_repair_the_same_at_once_repair_it_once(delivery: Delivery) -> None:
    for number in range(1, 11):
        await delivery.create("DRIVER_TO_USER", package_sn=f"PG{number}")
    await execute(delivery, "UPDATE tigu_prepare_goods SET order_ids = '1,2', prepare_status = 0")

    both = await asyncio.gather(*(reconcile(delivery, validate_only=False) for _ in range(4)))

    made = [answer.finding.subject for answers in both for answer in answers if answer.repaired]
    assert len(made) == 20
    assert await delivery.findings() == []


async def test_a_hold_whose_package_lost_its_id_is_given_back_to_it_and_not_released(
    delivery: Delivery,
) -> None:
    package = await delivery.create("MERCHANT_TO_USER", package_sn="PG1")
    await delivery.quiet()
    await execute(delivery, "UPDATE tigu_prepare_goods SET reservation_id = 'somebody:1'")
    delivery.inventory.known["somebody:1"] = Hold("somebody:1", "HELD", {"B": 9})
    calls = list(delivery.inventory.calls)

    answers = await reconcile(delivery, "reservations", validate_only=False)

    assert [answer.repair for answer in answers if answer.finding.subject == "PG1"] == [
        "the id of the hold was somebody:1 and is PG1:1"
    ]
    told = delivery.inventory.calls[len(calls) :]
    assert ("release", "PG1:1") not in told
    assert (await delivery.get("PG1")).reservation_id == package.reservation_id
    assert delivery.inventory.known["PG1:1"].state == "HELD"


async def test_a_package_that_is_rejected_by_hand_has_the_goods_that_inventory_holds_and_goes_on(
    delivery: Delivery,
) -> None:
    package = await delivery.create("MERCHANT_TO_USER", package_sn="PG1")
    await delivery.drive(package, until="PreparePackage")
    await delivery.quiet()
    await execute(delivery, "UPDATE tigu_prepare_goods SET stock_state = 3, rejection_reason = 'by hand'")
    await execute(delivery, LONG_AGO)

    (answer,) = await reconcile(delivery, "reservations", validate_only=False)
    held = await delivery.stock_state("PG1", "HELD")

    assert (answer.repaired, answer.repair) == (True, "inventory is asked for the hold again")
    assert held.rejection_reason == ""
    assert ("release", "PG1:1") not in delivery.inventory.calls
    await delivery.take("PG1", STEPS[package.workflow][1])
    assert (await delivery.stock_state("PG1", "COMMITTED")).attempt == 1
    assert await delivery.findings() == []


async def test_stock_that_was_never_asked_for_is_not_tracked(delivery: Delivery) -> None:
    package = await delivery.create("MERCHANT_TO_USER", package_sn="PG1")
    await delivery.quiet()
    damage = "UPDATE tigu_prepare_goods SET attempt = 0, reservation_id = {}"
    await execute(delivery, damage.format("'PG1:1'"))

    (by_hand,) = await reconcile(delivery, "reservations", validate_only=False)
    await execute(delivery, damage.format("NULL"))
    del delivery.inventory.known[package.reservation_id]
    (mended,) = await reconcile(delivery, "reservations", validate_only=False)

    assert not by_hand.repaired
    assert by_hand.repair.startswith("left to people: the package has an id of a hold and counts no attempt")
    assert mended.repaired
    assert (await delivery.get("PG1")).stock_state == pb.STOCK_STATE_NOT_TRACKED
    assert await delivery.findings() == []


async def test_a_photo_that_two_events_name_is_left_to_people(delivery: Delivery) -> None:
    package = await delivery.create("MERCHANT_TO_USER", package_sn="PG1")
    await delivery.drive(package, until="DeliverPackage")
    await delivery.quiet()
    async with delivery.engine.begin() as connection:
        events = "SELECT evidence_ids FROM package_event WHERE sequence = 2"
        photos = (await connection.execute(text(events))).scalar_one()
        twice = "UPDATE package_event SET evidence_ids = :photos WHERE sequence = 3"
        await connection.execute(text(twice), {"photos": photos})
    before = await delivery.everything()

    answers = await reconcile(delivery, "proofs", validate_only=False)

    twice_named, marked = answers
    assert twice_named.repair == "left to people: events 2 and 3 both name the photo"
    assert marked.repaired
    assert (await delivery.everything())["package_event"][:3] == before["package_event"][:3]
