"""The verbs over gRPC: who may, with which proof, once; and what old readers see of it."""

import asyncio

import grpc
import pytest
from holdfast.delivery.v1 import package_pb2 as pb
from sqlalchemy import select

from delivery_service.gateways.photo_store import FsspecPhotoStore
from delivery_service.persistence.order_lists import order_ids as listed
from delivery_service.persistence.tables import order_actions, orders, packages
from delivery_service.rpc.methods import PROOFS_AT_ONCE
from devtools.journey import PREPARE
from tests.delivery_service.client import (
    DRIVER,
    MERCHANT,
    SYSTEM,
    WAREHOUSE,
    Delivery,
    Metadata,
    actor,
)
from tests.servicekit.waiting import until

FAILED, DENIED = grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.PERMISSION_DENIED


async def prepared(delivery: Delivery, workflow: str = "DRIVER_TO_USER") -> str:
    """A prepared package; answers its package_sn."""
    package = await delivery.create(workflow)
    return (await delivery.take(package.package_sn, PREPARE)).package_sn


async def test_a_step_is_told_on_the_package_with_a_new_etag_and_its_time(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER")

    after = await delivery.take(package.package_sn, PREPARE)

    assert after.state == pb.PACKAGE_STATE_PREPARED
    assert after.HasField("prepare_time")
    assert not after.HasField("pick_up_time")
    assert after.etag != package.etag


@pytest.mark.parametrize(
    ("by", "code", "reason"),
    [
        (DRIVER, DENIED, "WRONG_ACTOR"),
        (SYSTEM, DENIED, "WRONG_ACTOR"),
        (actor("merchant", 8), DENIED, "NOT_YOUR_PACKAGE"),
        ((), grpc.StatusCode.UNAUTHENTICATED, "ACTOR_MISSING"),
        ((("actor-role", "merchant"),), grpc.StatusCode.UNAUTHENTICATED, "ACTOR_MISSING"),
    ],
)
async def test_only_the_right_actor_moves_a_package(
    delivery: Delivery, by: Metadata, code: grpc.StatusCode, reason: str
) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    photo = await delivery.upload(package.package_sn, "PREPARATION")

    refusal = await delivery.refused(
        delivery.move("PreparePackage", package.package_sn, by=by, evidence_ids=[photo.evidence_id])
    )

    assert (refusal.code, refusal.reason) == (code, reason)


async def test_an_illegal_verb_is_refused_with_what_is_allowed_now(delivery: Delivery) -> None:
    package = await delivery.create("MERCHANT_TO_USER")

    refusal = await delivery.refused(delivery.move("ShipPackage", package.package_sn, by=WAREHOUSE))

    assert (refusal.code, refusal.reason) == (FAILED, "ILLEGAL_TRANSITION")
    assert refusal.metadata["state"] == "PENDING"
    assert refusal.metadata["allowed"] == "PREPARE, CANCEL"


async def test_cancel_is_refused_after_the_goods_have_left(delivery: Delivery) -> None:
    package = await delivery.drive(await delivery.create("MERCHANT_TO_USER"), until="DeliverPackage")
    await delivery.quiet()

    refusal = await delivery.refused(
        delivery.move("CancelPackage", package.package_sn, by=MERCHANT, reason="too late")
    )

    assert (refusal.code, refusal.reason) == (FAILED, "ILLEGAL_TRANSITION")
    assert refusal.metadata["allowed"] == "COMPLETE"


async def test_a_package_that_does_not_exist_is_not_found(delivery: Delivery) -> None:
    refusal = await delivery.refused(delivery.move("CancelPackage", "NONE", by=MERCHANT, reason="x"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "PACKAGE_NOT_FOUND")
    assert refusal.resource == ("package", "NONE")


async def test_every_violation_of_a_move_is_named_at_once(delivery: Delivery) -> None:
    refusal = await delivery.refused(
        delivery.move(
            "CancelPackage",
            "bad sn",
            by=MERCHANT,
            etag="x",
            request_id="é",
            evidence_ids=["e", "e", "?"],
        )
    )

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert [field for field, _ in refusal.violations] == [
        "request_id",
        "package_sn",
        "reason",
        "evidence_ids[1]",
        "evidence_ids[2]",
        "etag",
    ]


async def test_proof_must_be_there_fresh_of_this_package_and_of_the_right_kind(delivery: Delivery) -> None:
    package, other = await delivery.create("DRIVER_TO_USER"), await delivery.create("DRIVER_TO_USER")
    wrong_kind = await delivery.upload(package.package_sn, "DELIVERY")
    foreign = await delivery.upload(other.package_sn, "PREPARATION")

    async def reason(*evidence_ids: str) -> tuple[grpc.StatusCode, str]:
        refusal = await delivery.refused(
            delivery.move("PreparePackage", package.package_sn, by=MERCHANT, evidence_ids=evidence_ids)
        )
        return refusal.code, refusal.reason

    await delivery.quiet()
    assert await reason() == (FAILED, "EVIDENCE_MISSING")
    assert await reason("nothing") == (grpc.StatusCode.NOT_FOUND, "EVIDENCE_NOT_FOUND")
    assert await reason(wrong_kind.evidence_id) == (FAILED, "EVIDENCE_UNFIT")
    assert await reason(foreign.evidence_id) == (FAILED, "EVIDENCE_UNFIT")


async def test_the_same_bytes_prove_one_transition_only_also_in_another_package(delivery: Delivery) -> None:
    first, second = await delivery.create("DRIVER_TO_USER"), await delivery.create("DRIVER_TO_USER")
    used = await delivery.upload(first.package_sn, "PREPARATION")
    content = await delivery.download(used.evidence_id)
    copy = await delivery.upload(second.package_sn, "PREPARATION", content)
    await delivery.move("PreparePackage", first.package_sn, by=MERCHANT, evidence_ids=[used.evidence_id])

    refusal = await delivery.refused(
        delivery.move("PreparePackage", second.package_sn, by=MERCHANT, evidence_ids=[copy.evidence_id])
    )

    assert copy.evidence_id != used.evidence_id
    assert (refusal.code, refusal.reason) == (FAILED, "EVIDENCE_ALREADY_USED")
    assert refusal.violations == [(copy.evidence_id, "proves another transition already")]


async def test_the_same_bytes_used_by_two_packages_at_once_prove_one(delivery: Delivery) -> None:
    first, second = await delivery.create("DRIVER_TO_USER"), await delivery.create("DRIVER_TO_USER")
    photo = await delivery.upload(first.package_sn, "PREPARATION")
    copy = await delivery.upload(second.package_sn, "PREPARATION", await delivery.download(photo.evidence_id))

    results = await asyncio.gather(
        delivery.move("PreparePackage", first.package_sn, by=MERCHANT, evidence_ids=[photo.evidence_id]),
        delivery.move("PreparePackage", second.package_sn, by=MERCHANT, evidence_ids=[copy.evidence_id]),
        return_exceptions=True,
    )

    assert sorted(type(result).__name__ for result in results) == ["AioRpcError", "Package"]


async def test_of_many_moves_at_once_a_few_read_their_photos_and_the_others_wait(
    delivery: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    sns = [(await delivery.create("MERCHANT_TO_USER")).package_sn for _ in range(2 * PROOFS_AT_ONCE)]
    proofs = [(await delivery.upload(package_sn, "PREPARATION")).evidence_id for package_sn in sns]
    reading, going_on, get = 0, asyncio.Event(), FsspecPhotoStore.get

    async def held(store: FsspecPhotoStore, name: str) -> bytes | None:
        nonlocal reading
        reading += 1
        await going_on.wait()
        return await get(store, name)

    monkeypatch.setattr(FsspecPhotoStore, "get", held)
    moves = [
        asyncio.create_task(delivery.move("PreparePackage", package_sn, by=MERCHANT, evidence_ids=[proof]))
        for package_sn, proof in zip(sns, proofs, strict=True)
    ]
    await until(lambda: reading == PROOFS_AT_ONCE)
    await asyncio.sleep(0.2)
    assert reading == PROOFS_AT_ONCE

    going_on.set()
    moved = await asyncio.gather(*moves)
    assert {package.state for package in moved} == {pb.PACKAGE_STATE_PREPARED}


async def test_a_stale_etag_loses_and_a_fresh_one_wins(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    stale = package.etag
    package = await delivery.take(package.package_sn, PREPARE, etag=stale)
    await delivery.quiet()

    refusal = await delivery.refused(delivery.move("ClaimPackage", package.package_sn, by=DRIVER, etag=stale))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert not refusal.retry
    await delivery.move("ClaimPackage", package.package_sn, by=DRIVER, etag=package.etag)


async def test_a_repeat_after_a_lost_answer_has_no_second_effect(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    photo = await delivery.upload(package.package_sn, "PREPARATION")
    fields = {"evidence_ids": [photo.evidence_id]}
    first = await delivery.move("PreparePackage", package.package_sn, by=MERCHANT, **fields)
    await delivery.quiet()
    before = await delivery.everything()

    assert await delivery.move("PreparePackage", package.package_sn, by=MERCHANT, **fields) == first

    assert await delivery.everything() == before


async def test_a_request_id_replays_the_first_answer_and_refuses_other_content(delivery: Delivery) -> None:
    package_sn = await prepared(delivery)
    claimed = await delivery.move("ClaimPackage", package_sn, by=DRIVER, request_id="c1")
    await delivery.move("ReleaseClaim", package_sn, by=DRIVER)

    assert await delivery.move("ClaimPackage", package_sn, by=DRIVER, request_id="c1") == claimed
    assert (await delivery.get(package_sn)).driver_id == ""
    refusal = await delivery.refused(
        delivery.move("ClaimPackage", package_sn, by=DRIVER, request_id="c1", note="other")
    )
    assert refusal.reason == "REQUEST_ID_REUSED"


async def test_old_readers_see_each_step_of_a_package(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_WAREHOUSE")
    seen = []
    for method in ["PreparePackage", "PickUpPackage", "ShipPackage", "CompletePackage"]:
        package = await delivery.drive(package, until=method)
        async with delivery.engine.connect() as connection:
            statuses = select(orders.c.order_status, orders.c.shipping_status)
            seen.append(tuple((await connection.execute(statuses)).one()))
    async with delivery.engine.connect() as connection:
        rows = (await connection.execute(select(order_actions).order_by(order_actions.c.id))).all()

    assert seen == [(1, 1), (2, 2), (2, 5), (3, 7)]
    assert [row.action_type for row in rows] == [0, 1, 2, 3, 4, 5]
    assert [row.shipping_status for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[1].create_by == "driver:5"
    assert all(row.logistics_voucher_file for row in rows)


async def test_the_csv_of_old_readers_lists_the_orders_of_the_mapping(delivery: Delivery) -> None:
    order_ids = [await delivery.order({"A": 1}, order_id=order_id) for order_id in (41239, 12, 123)]
    await delivery.create("DRIVER_TO_USER", order_ids)

    async with delivery.engine.connect() as connection:
        found = (await connection.execute(select(listed).select_from(packages))).scalar_one()
    assert found == "12,123,41239"
    assert await delivery.findings("mapping") == []
