"""CommitReservation, ReleaseReservation, ExtendReservation."""

import grpc
import pytest
from holdfast.inventory.v1 import movement_pb2
from holdfast.inventory.v1 import reservation_pb2 as pb

from tests.inventory_service.client import DISPATCHER, STRANGER, SYSTEM, Inventory, duration, lines, refused


async def test_commit_takes_the_units_off_the_shelf(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 2})

    done = await inventory.commit("r1")

    assert done.state == pb.RESERVATION_STATE_COMMITTED
    assert [(line.quantity, line.committed_quantity) for line in done.lines] == [(2, 2)]
    assert done.HasField("resolve_time")
    assert await inventory.levels("A") == (3, 0, 3)
    ledger = await inventory.stub.ListMovements(movement_pb2.ListMovementsRequest(reservation_id="r1"))
    [sold] = ledger.movements
    assert (sold.sku, sold.delta, sold.reason) == ("A", -2, movement_pb2.MOVEMENT_REASON_SOLD)
    assert (sold.reference, sold.actor) == ("order:1", "merchant:7")


async def test_commit_per_line_gives_the_rest_back(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.create("B", 5)
    await inventory.reserve("r1", {"A": 3, "B": 2})

    done = await inventory.commit("r1", lines=lines([("A", 1), ("A", 1)]))

    assert [(line.sku, line.committed_quantity) for line in done.lines] == [("A", 2), ("B", 0)]
    assert await inventory.levels("A") == (3, 0, 3)
    assert await inventory.levels("B") == (5, 0, 5)


async def test_the_same_commit_again_answers_the_same_and_sells_once(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    held = await inventory.reserve("r1", {"A": 3})
    done = await inventory.commit("r1", lines=lines({"A": 2}), etag=held.etag)
    before = await inventory.everything()

    assert await inventory.commit("r1", lines=lines({"A": 2}), etag=held.etag) == done
    assert await inventory.everything() == before
    refusal = await refused(inventory.commit("r1"))
    assert refusal.reason == "RESERVATION_ALREADY_RESOLVED"


async def test_more_than_is_held_cannot_be_committed(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 2})
    before = await inventory.everything()

    refusal = await refused(inventory.commit("r1", lines=lines({"A": 3, "B": 1})))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "QUANTITY_MISMATCH")
    assert refusal.violations == [("A", "requested 3, held 2"), ("B", "requested 1, held 0")]
    assert await inventory.everything() == before


async def test_release_makes_the_units_available_again(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 2})

    done = await inventory.release("r1")

    assert done.state == pb.RESERVATION_STATE_RELEASED
    assert await inventory.levels("A") == (5, 0, 5)
    before = await inventory.everything()
    assert await inventory.release("r1") == done
    assert await inventory.everything() == before


async def test_release_of_an_unknown_id_leaves_a_tombstone(inventory: Inventory) -> None:
    mark = await inventory.release("r1")

    assert mark.tombstone
    assert mark.state == pb.RESERVATION_STATE_RELEASED
    assert await inventory.release("r1", metadata=STRANGER) == mark
    assert await inventory.reservation("r1") == mark
    refusal = await refused(inventory.commit("r1"))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "RESERVATION_TOMBSTONED",
    )
    assert (await refused(inventory.extend("r1", 60))).reason == "RESERVATION_TOMBSTONED"


async def test_release_of_a_hold_past_its_time_answers_expired(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 2}, ttl=60)
    await inventory.let_expire("r1")

    assert (await inventory.release("r1")).state == pb.RESERVATION_STATE_EXPIRED
    assert await inventory.levels("A") == (5, 0, 5)


async def test_extend_counts_from_now(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    held = await inventory.reserve("r1", {"A": 2}, ttl=10)

    longer = await inventory.extend("r1", 3600, etag=held.etag)

    assert longer.state == pb.RESERVATION_STATE_HELD
    assert longer.expire_time.seconds - held.create_time.seconds >= 3600
    assert longer.etag != held.etag
    assert await inventory.reserve("r1", {"A": 2}, ttl=10) == longer


async def test_extend_gives_an_endless_hold_an_end(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 2})

    assert (await inventory.extend("r1", 60)).HasField("expire_time")


@pytest.mark.parametrize("verb", ["commit", "extend"])
async def test_from_its_time_on_a_hold_is_expired_for_every_verb(inventory: Inventory, verb: str) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 2}, ttl=60)
    await inventory.let_expire("r1")
    assert (await inventory.reservation("r1")).state == pb.RESERVATION_STATE_EXPIRED
    before = await inventory.everything()

    call = inventory.commit("r1") if verb == "commit" else inventory.extend("r1", 60)
    refusal = await refused(call)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RESERVATION_EXPIRED")
    assert set(refusal.metadata) == {"reservation_id", "expire_time"}
    assert await inventory.everything() == before
    assert (await refused(inventory.commit("r1"))).reason == "RESERVATION_EXPIRED"


@pytest.mark.parametrize("verb", ["commit", "extend"])
async def test_an_unknown_id_is_not_found(inventory: Inventory, verb: str) -> None:
    call = inventory.commit("r1") if verb == "commit" else inventory.extend("r1", 60)

    refusal = await refused(call)

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "RESERVATION_NOT_FOUND")
    assert refusal.resource == ("reservation", "r1")


async def test_what_was_committed_stays_so(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 2})
    await inventory.commit("r1")
    before = await inventory.everything()

    for call in (inventory.release("r1"), inventory.extend("r1", 60)):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "RESERVATION_ALREADY_RESOLVED",
        )
        assert refusal.metadata == {"reservation_id": "r1", "state": "COMMITTED"}
    assert await inventory.everything() == before


async def test_what_was_released_stays_so(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 2})
    await inventory.release("r1")
    before = await inventory.everything()

    for call in (inventory.commit("r1"), inventory.extend("r1", 60)):
        assert (await refused(call)).metadata == {"reservation_id": "r1", "state": "RELEASED"}
    assert await inventory.everything() == before


@pytest.mark.parametrize("verb", ["commit", "release", "extend"])
async def test_only_its_maker_and_operators_resolve_a_hold(inventory: Inventory, verb: str) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 2})
    before = await inventory.everything()
    fields = {"ttl": 60.0} if verb == "extend" else {}

    for by, name in ((STRANGER, "merchant:8"), (SYSTEM, "system:delivery")):
        refusal = await refused(getattr(inventory, verb)("r1", metadata=by, **fields))

        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
        assert refusal.metadata == {"reservation_id": "r1", "caller": name}
    assert await inventory.everything() == before
    await getattr(inventory, verb)("r1", metadata=DISPATCHER, **fields)


@pytest.mark.parametrize("verb", ["commit", "release", "extend"])
async def test_a_stale_etag_is_refused(inventory: Inventory, verb: str) -> None:
    await inventory.create("A", 5)
    held = await inventory.reserve("r1", {"A": 2}, ttl=60)
    await inventory.extend("r1", 90)
    before = await inventory.everything()
    fields = {"ttl": 60.0} if verb == "extend" else {}

    refusal = await refused(getattr(inventory, verb)("r1", etag=held.etag, **fields))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert await inventory.everything() == before


async def test_every_violation_is_named_at_once(inventory: Inventory) -> None:
    commit = pb.CommitReservationRequest(reservation_id="", lines=lines([("", 0)]), etag="?", request_id="\n")
    extend = pb.ExtendReservationRequest(reservation_id="", ttl=duration(0), etag="?")
    release = pb.ReleaseReservationRequest(reservation_id="", etag="?")

    found = [
        [field for field, _ in (await refused(call)).violations]
        for call in (
            inventory.stub.CommitReservation(commit),
            inventory.stub.ExtendReservation(extend),
            inventory.stub.ReleaseReservation(release),
        )
    ]

    assert found == [
        ["request_id", "reservation_id", "lines[0].sku", "lines[0].quantity", "etag"],
        ["reservation_id", "ttl", "etag"],
        ["reservation_id", "etag"],
    ]
