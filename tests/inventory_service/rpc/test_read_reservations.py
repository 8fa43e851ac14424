"""GetReservation, ListReservations and ListMovements."""

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from holdfast.inventory.v1 import movement_pb2
from holdfast.inventory.v1 import reservation_pb2 as pb

from tests.inventory_service.client import Inventory, refused


async def listed(inventory: Inventory, **fields: object) -> list[str]:
    """The ids of one page."""
    request = pb.ListReservationsRequest(**fields)  # type: ignore[arg-type]
    answer = await inventory.stub.ListReservations(request)
    return [reservation.reservation_id for reservation in answer.reservations]


async def ledger(inventory: Inventory, **fields: object) -> list[int]:
    """The deltas of one page."""
    request = movement_pb2.ListMovementsRequest(**fields)  # type: ignore[arg-type]
    return [movement.delta for movement in (await inventory.stub.ListMovements(request)).movements]


@pytest.fixture
async def holds(inventory: Inventory) -> Inventory:
    """One reservation in each state, and a hold past its time that nobody has swept."""
    await inventory.create("A", 20)
    await inventory.create("B", 20)
    await inventory.reserve("held", {"A": 1}, ttl=3600)
    await inventory.reserve("endless", {"B": 1}, holder="order:2")
    await inventory.reserve("committed", {"A": 1, "B": 1})
    await inventory.commit("committed")
    await inventory.reserve("released", {"A": 1})
    await inventory.release("released")
    await inventory.reserve("due", {"A": 1}, ttl=60)
    await inventory.let_expire("due")
    return inventory


async def test_an_unknown_reservation_is_not_found(inventory: Inventory) -> None:
    refusal = await refused(inventory.reservation("r1"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "RESERVATION_NOT_FOUND")
    assert refusal.resource == ("reservation", "r1")
    assert (await refused(inventory.reservation("a b"))).violations[0][0] == "reservation_id"


async def test_reservations_are_listed_newest_first_by_any_filter(holds: Inventory) -> None:
    assert await listed(holds) == ["due", "released", "committed", "endless", "held"]
    assert await listed(holds, holder="order:2") == ["endless"]
    assert await listed(holds, sku="B") == ["committed", "endless"]
    assert await listed(holds, holder="order:1", sku="B") == ["committed"]
    soon = Timestamp()
    soon.GetCurrentTime()
    assert await listed(holds, expire_before=soon) == ["due"]


async def test_a_hold_past_its_time_is_listed_as_expired(holds: Inventory) -> None:
    assert await listed(holds, state=pb.RESERVATION_STATE_HELD) == ["endless", "held"]
    assert await listed(holds, state=pb.RESERVATION_STATE_EXPIRED) == ["due"]
    assert await listed(holds, state=pb.RESERVATION_STATE_COMMITTED) == ["committed"]
    assert await listed(holds, state=pb.RESERVATION_STATE_RELEASED) == ["released"]
    answer = await holds.stub.ListReservations(pb.ListReservationsRequest(sku="A", page_size=1))
    assert answer.reservations[0] == await holds.reservation("due")
    assert answer.reservations[0].state == pb.RESERVATION_STATE_EXPIRED


async def test_reservation_pages_show_each_row_once_while_rows_come(inventory: Inventory) -> None:
    await inventory.create("A", 100)
    for index in range(11):
        await inventory.reserve(f"r{index}", {"A": 1})
    seen: list[str] = []
    token = None

    while token != "":
        request = pb.ListReservationsRequest(sku="A", page_size=3, page_token=token or "")
        answer = await inventory.stub.ListReservations(request)
        seen += [reservation.reservation_id for reservation in answer.reservations]
        token = answer.next_page_token
        await inventory.reserve(f"new{len(seen)}", {"A": 1})

    assert seen == [f"r{index}" for index in reversed(range(11))]


async def test_movements_are_listed_newest_first_by_any_filter(holds: Inventory) -> None:
    await holds.adjust("A", 4, "q1", reference="note 1")

    assert await ledger(holds) == [4, -1, -1, 20, 20]
    assert await ledger(holds, sku="A") == [4, -1, 20]
    assert await ledger(holds, reason=movement_pb2.MOVEMENT_REASON_SOLD) == [-1, -1]
    assert await ledger(holds, reference="note 1") == [4]
    assert await ledger(holds, reference="note") == []
    assert await ledger(holds, reservation_id="committed", sku="B") == [-1]


async def test_movements_are_found_by_time(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    answer = await inventory.stub.ListMovements(movement_pb2.ListMovementsRequest())
    opening = answer.movements[0].create_time
    await inventory.adjust("A", 1, "q1")

    assert await ledger(inventory, start_time=opening) == [1, 5]
    assert await ledger(inventory, end_time=opening) == []
    after = Timestamp(seconds=opening.seconds, nanos=opening.nanos + 1000)
    assert await ledger(inventory, start_time=after) == [1]
    assert await ledger(inventory, end_time=after) == [5]


async def test_movement_pages_show_each_row_once(inventory: Inventory) -> None:
    await inventory.create("A", 100)
    # All lines of one commit bear one time; the movement's number tells them apart.
    skus = [f"S{index}" for index in range(7)]
    for sku in skus:
        await inventory.create(sku, 1)
    await inventory.reserve("r1", dict.fromkeys(skus, 1))
    await inventory.commit("r1")
    seen: list[str] = []
    token = None

    while token != "":
        request = movement_pb2.ListMovementsRequest(page_size=2, page_token=token or "")
        answer = await inventory.stub.ListMovements(request)
        seen += [movement.movement_id for movement in answer.movements]
        token = answer.next_page_token

    assert len(seen) == 15
    assert seen == sorted(seen, key=int, reverse=True)


async def test_every_violation_is_named_at_once(inventory: Inventory) -> None:
    bad_time = Timestamp(seconds=10**13)
    reservations = pb.ListReservationsRequest(
        holder="a b",
        sku="a b",
        state=9,  # type: ignore[arg-type]
        expire_before=bad_time,
        page_size=-1,
    )
    movements = movement_pb2.ListMovementsRequest(
        sku="a b",
        reason=99,  # type: ignore[arg-type]
        reference="x" * 201,
        reservation_id="a b",
        start_time=bad_time,
        end_time=bad_time,
        page_size=-1,
    )

    first = await refused(inventory.stub.ListReservations(reservations))
    second = await refused(inventory.stub.ListMovements(movements))

    assert {field for field, _ in first.violations} == {
        "holder",
        "sku",
        "state",
        "expire_before",
        "page_size",
    }
    assert {field for field, _ in second.violations} == {
        "sku",
        "reason",
        "reference",
        "reservation_id",
        "start_time",
        "end_time",
        "page_size",
    }
