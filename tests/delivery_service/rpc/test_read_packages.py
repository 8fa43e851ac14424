"""Finding packages, their timelines, and what may happen next."""

import asyncio
from typing import Any

import grpc
import pytest
from holdfast.delivery.v1 import package_pb2 as pb
from sqlalchemy import text

from devtools.journey import PREPARE
from tests.delivery_service.client import (
    DISPATCHER,
    DRIVER,
    MERCHANT,
    WAREHOUSE,
    Delivery,
    Metadata,
    refused,
)


async def found(delivery: Delivery, **fields: Any) -> set[str]:
    """The packages that a ListPackages finds."""
    reply = await delivery.stub.ListPackages(pb.ListPackagesRequest(**fields), timeout=10)
    return {package.package_sn for package in reply.packages}


async def test_each_filter_finds_its_packages_only(delivery: Delivery) -> None:
    orders = [await delivery.order({"A": 1}) for _ in range(4)]
    await delivery.order({"A": 1}, order_id=900, shop_id="8")
    await delivery.create("MERCHANT_TO_USER", [orders[0]], package_sn="pending")
    await delivery.create("MERCHANT_TO_WAREHOUSE", [orders[1]], package_sn="warehouse")
    free = await delivery.create("DRIVER_TO_USER", [orders[2]], package_sn="free")
    taken = await delivery.create("DRIVER_TO_USER", [orders[3]], package_sn="taken")
    await delivery.create("MERCHANT_TO_USER", ["900"], package_sn="other", shop_id="8", by=DISPATCHER)
    await delivery.take(free.package_sn, PREPARE)
    await delivery.drive(taken, until="ClaimPackage")

    assert await found(delivery, workflow=pb.WORKFLOW_DRIVER_TO_USER) == {"free", "taken"}
    assert await found(delivery, state=pb.PACKAGE_STATE_PENDING) == {"pending", "warehouse", "other"}
    assert await found(delivery, stock_state=pb.STOCK_STATE_REJECTED) == set()
    assert await found(delivery, shop_id="8") == {"other"}
    assert await found(delivery, driver_id="5") == {"taken"}
    assert await found(delivery, warehouse_id="3") == {"warehouse"}
    assert await found(delivery, order_id=orders[2]) == {"free"}
    assert await found(delivery, available_for_claiming=True) == {"free"}


async def test_pages_show_each_package_once_while_others_come_and_go(delivery: Delivery) -> None:
    made = [(await delivery.create("DRIVER_TO_USER")).package_sn for _ in range(7)]
    request = pb.ListPackagesRequest(page_size=3)

    seen: list[str] = []
    for _ in range(3):
        reply = await delivery.stub.ListPackages(request, timeout=10)
        seen += [package.package_sn for package in reply.packages]
        request.page_token = reply.next_page_token
        await delivery.create("DRIVER_TO_USER")

    assert seen == made[::-1]
    assert request.page_token == ""


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"page_size": -1}, "FIELD_INVALID"),
        ({"page_token": "nonsense"}, "PAGE_TOKEN_MISMATCH"),
        ({"shop_id": "x", "order_id": "y"}, "FIELD_INVALID"),
        ({"state": 99}, "FIELD_INVALID"),
    ],
)
async def test_a_listing_refuses_what_it_cannot_understand(
    delivery: Delivery, fields: dict[str, Any], reason: str
) -> None:
    refusal = await refused(delivery.stub.ListPackages(pb.ListPackagesRequest(**fields), timeout=10))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)


async def test_a_page_token_belongs_to_the_other_arguments(delivery: Delivery) -> None:
    for _ in range(2):
        await delivery.create("DRIVER_TO_USER")
    first = await delivery.stub.ListPackages(pb.ListPackagesRequest(page_size=1, shop_id="7"), timeout=10)

    other = pb.ListPackagesRequest(page_size=1, shop_id="8", page_token=first.next_page_token)
    refusal = await refused(delivery.stub.ListPackages(other, timeout=10))

    assert refusal.reason == "PAGE_TOKEN_MISMATCH"


async def test_the_timeline_tells_who_did_what_with_which_proof(delivery: Delivery) -> None:
    package = await delivery.drive(await delivery.create("DRIVER_TO_USER"), until="ClaimPackage")
    await delivery.move("CancelPackage", package.package_sn, by=DISPATCHER, reason="flood")
    request = pb.ListPackageEventsRequest(package_sn=package.package_sn, page_size=3)

    first = await delivery.stub.ListPackageEvents(request, timeout=10)
    request.page_token = first.next_page_token
    rest = await delivery.stub.ListPackageEvents(request, timeout=10)

    created, prepared, claimed, cancelled = [*first.events, *rest.events]
    assert [event.sequence for event in (created, prepared, claimed, cancelled)] == [1, 2, 3, 4]
    assert (created.verb, created.from_state) == (pb.VERB_CREATE, pb.PACKAGE_STATE_UNSPECIFIED)
    assert (prepared.actor_role, prepared.actor_id) == (pb.ACTOR_ROLE_MERCHANT, "7")
    assert len(prepared.evidence_ids) == 1
    assert (claimed.from_state, claimed.to_state) == (pb.PACKAGE_STATE_PREPARED,) * 2
    assert claimed.driver_id == "5"
    assert (cancelled.actor_id, cancelled.note) == ("control", "flood")
    assert rest.next_page_token == ""


@pytest.mark.parametrize(
    ("by", "allowed"),
    [
        (MERCHANT, {pb.VERB_CANCEL}),
        (DRIVER, {pb.VERB_CLAIM}),
        (DISPATCHER, {pb.VERB_ASSIGN_DRIVER, pb.VERB_CANCEL}),
        (WAREHOUSE, set()),
    ],
)
async def test_an_actor_is_told_what_may_be_done_and_why_not_the_rest(
    delivery: Delivery, by: Metadata, allowed: set[int]
) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    package = await delivery.take(package.package_sn, PREPARE)

    reply = await delivery.stub.ListAllowedTransitions(
        pb.ListAllowedTransitionsRequest(package_sn=package.package_sn), metadata=by, timeout=10
    )

    assert {transition.verb for transition in reply.transitions if transition.allowed} == allowed
    assert all(t.reason and t.description for t in reply.transitions if not t.allowed)
    by_verb = {transition.verb: transition for transition in reply.transitions}
    assert by_verb[pb.VERB_PICK_UP].evidence_kind == pb.EVIDENCE_KIND_COLLECTION
    assert by_verb[pb.VERB_PREPARE].reason == "ILLEGAL_TRANSITION"
    assert (reply.state, reply.etag) == (package.state, package.etag)


@pytest.mark.parametrize("method", ["GetPackage", "ListPackageEvents", "ListAllowedTransitions"])
async def test_an_unknown_package_is_not_found(delivery: Delivery, method: str) -> None:
    request = getattr(pb, f"{method}Request")(package_sn="NONE")

    refusal = await refused(getattr(delivery.stub, method)(request, metadata=MERCHANT, timeout=10))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "PACKAGE_NOT_FOUND")


async def test_the_distribution_counts_packages_and_distinct_orders(delivery: Delivery) -> None:
    order = await delivery.order({"A": 2})
    first = await delivery.create("DRIVER_TO_USER", [order])
    await delivery.move("CancelPackage", first.package_sn, by=MERCHANT, reason="x")
    await delivery.create("DRIVER_TO_USER", [order])
    await delivery.create("MERCHANT_TO_USER")

    reply = await delivery.stub.GetWorkflowDistribution(pb.GetWorkflowDistributionRequest(), timeout=10)

    shares = {share.workflow: (share.packages, share.orders) for share in reply.workflows}
    assert shares == {
        pb.WORKFLOW_MERCHANT_TO_WAREHOUSE: (0, 0),
        pb.WORKFLOW_MERCHANT_TO_USER: (1, 1),
        pb.WORKFLOW_DRIVER_TO_WAREHOUSE: (0, 0),
        pb.WORKFLOW_DRIVER_TO_USER: (2, 1),
    }
    driver_to_user = next(s for s in reply.workflows if s.workflow == pb.WORKFLOW_DRIVER_TO_USER)
    assert {(count.state, count.packages) for count in driver_to_user.states} == {
        (pb.PACKAGE_STATE_PENDING, 1),
        (pb.PACKAGE_STATE_CANCELLED, 1),
    }


async def test_reading_does_not_wait_for_a_package_that_is_being_changed(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    async with delivery.engine.begin() as connection:
        await connection.execute(text("SELECT id FROM tigu_prepare_goods FOR UPDATE"))

        assert await asyncio.wait_for(delivery.get(package.package_sn), 1) == package
