"""Operators see the commands that wait or were refused, and put one back."""

import asyncio
import json
from typing import Any

import grpc
import pytest
from holdfast.delivery.v1 import package_pb2
from holdfast.ops.v1 import ops_pb2 as pb
from sqlalchemy import select

from delivery_service.application.stock_ports import Refused
from delivery_service.persistence.tables import repairs
from tests.delivery_service.client import DISPATCHER, MERCHANT, Delivery, Metadata, refused
from tests.delivery_service.rpc.reconciling import execute, reconcile

AS_IT_STANDS = {
    "PENDING": "UPDATE outbox SET state = 0, next_attempt_time = '2999-01-01'",
    "IN_FLIGHT": "UPDATE outbox SET state = 1, lease_token = 'T', lease_until_time = '2999-01-01'",
}
WHY = "RESERVATION_ALREADY_RESOLVED: it is RELEASED"


async def listed(delivery: Delivery, state: str = "UNSPECIFIED", **fields: Any) -> pb.ListOutboxResponse:
    request = pb.ListOutboxRequest(state=pb.OutboxState.Value(f"OUTBOX_STATE_{state}"), **fields)
    answer: pb.ListOutboxResponse = await delivery.ops.ListOutbox(request, timeout=10)
    return answer


async def requeue(
    delivery: Delivery, entry_id: str, by: Metadata = DISPATCHER, note: str = "mended", request_id: str = ""
) -> pb.OutboxEntry:
    request = pb.RequeueOutboxRequest(entry_id=entry_id, note=note, request_id=request_id)
    answer: pb.RequeueOutboxResponse = await delivery.ops.RequeueOutbox(request, metadata=by, timeout=10)
    return answer.entry


async def parked(delivery: Delivery) -> pb.OutboxEntry:
    """A commit that inventory has refused; it would not any more."""
    package = await delivery.create("MERCHANT_TO_USER")
    delivery.inventory.refuse["commit"] = Refused("RESERVATION_ALREADY_RESOLVED", "it is RELEASED")
    await delivery.drive(package, until="DeliverPackage")
    await delivery.quiet()
    delivery.inventory.refuse.clear()
    (entry,) = (await listed(delivery, "PARKED", page_size=1000)).entries
    return entry


async def test_what_is_parked_is_listed_with_its_reason(delivery: Delivery) -> None:
    entry = await parked(delivery)

    assert list((await listed(delivery)).entries) == [entry]
    assert (entry.kind, entry.state, entry.last_error) == ("commit", pb.OUTBOX_STATE_PARKED, WHY)
    assert (entry.aggregate_version, entry.attempts) == (2, 1)
    assert (await delivery.get(entry.aggregate)).stock_state == package_pb2.STOCK_STATE_COMMIT_PENDING
    assert entry.create_time.seconds > 0 and entry.next_attempt_time.seconds > 0
    (done,) = (await listed(delivery, "DONE")).entries
    assert (done.kind, done.aggregate, done.aggregate_version) == ("reserve", entry.aggregate, 1)


async def test_pages_show_each_entry_once_oldest_first(delivery: Delivery) -> None:
    delivery.inventory.down = True
    names = {f"WAITS-{number}" for number in range(5)}
    await asyncio.gather(*(delivery.create("DRIVER_TO_USER", package_sn=name) for name in names))

    seen: list[pb.OutboxEntry] = []
    token = ""
    for _ in range(3):
        page = await listed(delivery, page_size=2, page_token=token)
        seen += page.entries
        token = page.next_page_token

    assert token == ""
    assert ({entry.aggregate for entry in seen}, len(seen)) == (names, 5)
    ids = [int(entry.entry_id) for entry in seen]
    assert ids == sorted(ids)
    assert {entry.last_error for entry in seen} != {""}
    first = await listed(delivery, page_size=2)
    refusal = await refused(listed(delivery, "PARKED", page_token=first.next_page_token))
    assert refusal.reason == "PAGE_TOKEN_MISMATCH"
    delivery.inventory.down = False
    await delivery.quiet()


async def test_an_unfit_question_is_refused_with_everything_that_is_wrong(delivery: Delivery) -> None:
    request = pb.ListOutboxRequest(state=9, page_size=-1)  # type: ignore[arg-type]

    refusal = await refused(delivery.ops.ListOutbox(request, timeout=10))

    assert refusal.reason == "FIELD_INVALID"
    assert [field for field, _ in refusal.violations] == ["state", "page_size"]


async def test_what_is_put_back_is_sent_again_and_settles_its_package(delivery: Delivery) -> None:
    entry = await parked(delivery)

    again = await requeue(delivery, entry.entry_id)

    assert (again.entry_id, again.state) == (entry.entry_id, pb.OUTBOX_STATE_PENDING)
    await delivery.stock_state(entry.aggregate, "COMMITTED")
    assert list((await listed(delivery)).entries) == []
    assert delivery.inventory.calls.count(("commit", f"{entry.aggregate}:1")) == 2
    assert await delivery.findings() == []


async def test_it_is_on_record_who_put_it_back_when_and_why(delivery: Delivery) -> None:
    entry = await parked(delivery)

    await requeue(delivery, entry.entry_id, DISPATCHER, note="the hold was made anew", request_id="WHY-1")

    async with delivery.engine.connect() as connection:
        (record,) = (await connection.execute(select(repairs))).all()
    assert (record.caller, record.request_id) == ("dispatcher:control", "WHY-1")
    assert (record.check_name, record.subject) == ("requeue", entry.aggregate)
    assert record.repair == "COMMIT is sent again: the hold was made anew"
    assert record.create_time.timestamp() >= entry.create_time.seconds
    facts = json.loads(record.facts)
    assert (facts["entry_id"], facts["last_error"], facts["note"]) == (
        entry.entry_id,
        WHY,
        "the hold was made anew",
    )
    timeline = await delivery.stub.ListPackageEvents(
        package_pb2.ListPackageEventsRequest(package_sn=entry.aggregate), timeout=10
    )
    told = timeline.events[-1]
    assert (told.verb, told.note) == (package_pb2.VERB_RECONCILE, record.repair)
    assert told.actor_id == "control"


async def test_a_repeat_answers_what_the_first_did_and_does_nothing(delivery: Delivery) -> None:
    entry = await parked(delivery)
    first = await requeue(delivery, entry.entry_id, request_id="WHY-1")
    await delivery.stock_state(entry.aggregate, "COMMITTED")

    assert await requeue(delivery, entry.entry_id, request_id="WHY-1") == first

    assert len((await delivery.everything())["repair"]) == 1
    refusal = await delivery.refused(requeue(delivery, entry.entry_id, note="else", request_id="WHY-1"))
    assert refusal.reason == "REQUEST_ID_REUSED"


async def test_a_repair_under_the_same_id_does_not_count_it_as_its_own(delivery: Delivery) -> None:
    entry = await parked(delivery)
    await requeue(delivery, entry.entry_id, request_id="WHY-1")
    await delivery.stock_state(entry.aggregate, "COMMITTED")

    assert await reconcile(delivery, "outbox", validate_only=False, request_id="WHY-1") == []


@pytest.mark.parametrize("state", ["DONE", "PENDING", "IN_FLIGHT", "UNKNOWN"])
async def test_only_what_is_parked_is_put_back(delivery: Delivery, state: str) -> None:
    await delivery.create("DRIVER_TO_USER")
    await delivery.quiet()
    entry_id = (await listed(delivery, "DONE")).entries[0].entry_id
    if state == "UNKNOWN":
        entry_id = "18446744073709551615"
    elif state in AS_IT_STANDS:
        await execute(delivery, AS_IT_STANDS[state])

    refusal = await delivery.refused(requeue(delivery, entry_id))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "OUTBOX_ENTRY_NOT_FOUND")
    assert refusal.metadata == {"entry_id": entry_id}
    await execute(delivery, "UPDATE outbox SET state = 2, lease_token = NULL, lease_until_time = NULL")


async def test_only_operators_put_back_and_they_say_why(delivery: Delivery) -> None:
    entry = await parked(delivery)

    assert (
        await delivery.refused(requeue(delivery, entry.entry_id, MERCHANT))
    ).reason == "CALLER_NOT_ALLOWED"
    assert (await delivery.refused(requeue(delivery, entry.entry_id, ()))).reason == "CALLER_NOT_ALLOWED"
    refusal = await delivery.refused(requeue(delivery, "first", note=" "))
    assert [field for field, _ in refusal.violations] == ["entry_id", "note"]
