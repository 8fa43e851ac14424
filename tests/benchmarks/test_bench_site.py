"""A place of the bench: what is compared with the service keeps the same books, and a difference voids the run."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from holdfast.inventory.v1 import reservation_pb2 as pb

from benchmarks.bench import bodies
from benchmarks.bench.inventory_steps import CALLER
from benchmarks.bench.results import Load, Void
from benchmarks.bench.server import SERVICE
from benchmarks.bench.sides import repeating, reserving
from benchmarks.bench.site import RESERVE, Site, site
from benchmarks.bench.wishes import ANY_SKU, EVERY, HOT_SKU, REPEATED_ID
from tests.support.databases import server_url

BASELINES = ("ReserveByThree", "ReserveByThreeUpdateFirst", "ReserveBySingle")
WAYS = (RESERVE, *(f"/{SERVICE}/{method}" for method in BASELINES))
CALLS = 5


@pytest.fixture(scope="module")
async def place() -> AsyncIterator[Site]:
    async with site(server_url("postgres"), 100) as place:
        yield place


@pytest.fixture(autouse=True)
async def empty_books(place: Site) -> None:
    await place.books.clear()


async def reserve(place: Site, method: str, sku: str) -> Any:
    return (await replies(place, method, bodies.reserve([sku]), CALLS))[-1]


async def replies(place: Site, method: str, request: pb.ReserveStockRequest, calls: int) -> list[Any]:
    async with grpc.aio.insecure_channel(place.address) as channel:
        call: Any = channel.unary_unary(
            method,
            request_serializer=pb.ReserveStockRequest.SerializeToString,
            response_deserializer=pb.ReserveStockResponse.FromString,
        )
        return [(await call(request, metadata=CALLER, timeout=10)).reservation for _ in range(calls)]


@pytest.mark.parametrize("sku", [HOT_SKU, ANY_SKU])
@pytest.mark.parametrize("method", WAYS)
async def test_every_way_of_reserving_keeps_the_same_books(place: Site, method: str, sku: str) -> None:
    held = await reserve(place, method, sku)

    assert held.state == pb.RESERVATION_STATE_HELD
    assert [line.quantity for line in held.lines] == [1]
    await place.books.require(
        reservations=CALLS, lines=CALLS, held_units=CALLS, reserved_units=CALLS, sales=0
    )
    await place.check_all()


@pytest.mark.parametrize("method", WAYS)
async def test_every_way_refuses_what_is_not_there(place: Site, method: str) -> None:
    await place.books.execute("UPDATE inventory.stock SET status = 'sold' WHERE sku = 'S1'")

    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await reserve(place, method, "S1")

    assert refusal.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    await place.books.require(reservations=0, lines=0, held_units=0, reserved_units=0)


async def test_of_calls_that_repeat_ids_all_are_answered_and_each_id_is_held_once(place: Site) -> None:
    settle, request = repeating(place), bodies.reserve([HOT_SKU], REPEATED_ID)
    ids = set()

    for calls in (EVERY - 1, EVERY + 1):  # the first of the second turn bears the id of the last of the first
        held = await replies(place, RESERVE, request, calls)
        assert all(one.state == pb.RESERVATION_STATE_HELD for one in held)
        ids |= {one.reservation_id for one in held}
        await settle(Load(calls, 1.0, 0.1))
    assert len(ids) == 2 * EVERY - 2


async def test_calls_that_repeat_ids_must_be_as_many_as_was_acknowledged(place: Site) -> None:
    await replies(place, RESERVE, bodies.reserve([HOT_SKU], REPEATED_ID), EVERY)

    with pytest.raises(Void, match="reservations"):
        await repeating(place)(Load(EVERY - 2, 1.0, 0.1))


async def test_a_recorded_reservation_ends_by_itself_and_its_answer_is_kept_until_the_turn_is_over(
    place: Site,
) -> None:
    held = await replies(place, RESERVE, bodies.recorded(HOT_SKU), CALLS)

    assert all(one.HasField("expire_time") for one in held)
    await reserving(place, requests=True)(Load(CALLS, 1.0, 0.1))
    await place.books.require(reservations=0, requests=0)


async def test_one_reservation_more_than_was_acknowledged_voids_the_run(place: Site) -> None:
    await reserve(place, RESERVE, HOT_SKU)

    with pytest.raises(Void, match="reservations"):
        await reserving(place)(Load(CALLS - 1, 1.0, 0.1))


async def test_books_that_disagree_with_themselves_void_the_run(place: Site) -> None:
    await reserve(place, RESERVE, HOT_SKU)
    await place.books.execute(
        "UPDATE inventory.reservation_line SET quantity = 2 WHERE ctid = (SELECT max(ctid) FROM"
        " inventory.reservation_line)"
    )

    with pytest.raises(Void, match="CheckConsistency finds"):
        await place.check_turn()
