"""request_id on every mutation: one effect, the first answer, other content refused."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from holdfast.inventory.v1 import movement_pb2, reservation_pb2, stock_pb2

from tests.inventory_service.client import SHOP, STRANGER, Inventory, Metadata, duration, lines, refused

Call = Callable[[Metadata], Any]


def mutations(inventory: Inventory, request_id: str) -> dict[str, tuple[Any, Message, Message]]:
    """Each mutation: its method, a request, and the same request with other content."""
    stub = inventory.stub
    create, adjust = stock_pb2.CreateStockRequest, movement_pb2.AdjustStockRequest
    reserve, commit = reservation_pb2.ReserveStockRequest, reservation_pb2.CommitReservationRequest
    release, extend = reservation_pb2.ReleaseReservationRequest, reservation_pb2.ExtendReservationRequest
    common: dict[str, Any] = {"request_id": request_id}
    received = movement_pb2.MOVEMENT_REASON_RECEIVED
    wish: dict[str, Any] = {"reservation_id": "new", "holder": "order:1"}
    return {
        "create": (
            stub.CreateStock,
            create(sku="NEW", quantity=5, **common),
            create(sku="NEW", quantity=6, **common),
        ),
        "adjust": (
            stub.AdjustStock,
            adjust(sku="A", delta=1, reason=received, **common),
            adjust(sku="A", delta=2, reason=received, **common),
        ),
        "reserve": (
            stub.ReserveStock,
            reserve(lines=lines({"A": 1}), **wish, **common),
            reserve(lines=lines({"A": 2}), **wish, **common),
        ),
        "commit": (
            stub.CommitReservation,
            commit(reservation_id="r1", **common),
            commit(reservation_id="r1", lines=lines({"A": 1}), **common),
        ),
        "release": (
            stub.ReleaseReservation,
            release(reservation_id="r1", **common),
            release(reservation_id="r2", **common),
        ),
        "extend": (
            stub.ExtendReservation,
            extend(reservation_id="r1", ttl=duration(60), **common),
            extend(reservation_id="r1", ttl=duration(61), **common),
        ),
    }


VERBS = ["create", "adjust", "reserve", "commit", "release", "extend"]


@pytest.fixture
async def books(inventory: Inventory) -> Inventory:
    """A stock with two holds."""
    await inventory.create("A", 10)
    await inventory.reserve("r1", {"A": 2}, ttl=600)
    await inventory.reserve("r2", {"A": 2}, ttl=600)
    return inventory


async def replayed(call: Any) -> tuple[Any, bool]:
    """The answer of a call, and whether it says that it is a replay."""
    answer = await call
    metadata = dict(await call.initial_metadata())
    return answer, metadata.get("idempotent-replayed") == "true"


@pytest.mark.parametrize("verb", VERBS)
async def test_a_repeat_has_no_effect_and_gets_the_first_answer(books: Inventory, verb: str) -> None:
    method, request, _ = mutations(books, "q1")[verb]
    first, was_replay = await replayed(method(request, metadata=SHOP))
    assert not was_replay
    before = await books.everything()

    again, was_replay = await replayed(method(request, metadata=SHOP))

    assert was_replay
    assert again == first
    assert await books.everything() == before


@pytest.mark.parametrize("verb", VERBS)
async def test_the_same_id_with_other_content_is_refused(books: Inventory, verb: str) -> None:
    method, request, other = mutations(books, "q1")[verb]
    await method(request, metadata=SHOP)
    before = await books.everything()

    refusal = await refused(method(other, metadata=SHOP))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")
    assert refusal.metadata == {"request_id": "q1"}
    assert await books.everything() == before


@pytest.mark.parametrize("verb", VERBS)
async def test_many_copies_at_once_have_one_effect_and_one_answer(books: Inventory, verb: str) -> None:
    method, request, _ = mutations(books, "q1")[verb]

    answers = await asyncio.gather(*(replayed(method(request, metadata=SHOP, timeout=10)) for _ in range(20)))

    assert all(answer == answers[0][0] for answer, _ in answers)
    assert [replay for _, replay in answers].count(False) == 1


async def test_a_failed_call_stores_nothing(books: Inventory) -> None:
    refusal = await refused(books.reserve("new", {"A": 100}, request_id="q1"))
    assert refusal.reason == "INSUFFICIENT_STOCK"

    await books.adjust("A", 100, "q0")

    assert (await books.reserve("new", {"A": 100}, request_id="q1")).reservation_id == "new"


async def test_ids_of_different_callers_and_methods_do_not_meet(books: Inventory) -> None:
    request = movement_pb2.AdjustStockRequest(
        sku="A", delta=1, reason=movement_pb2.MOVEMENT_REASON_FOUND, request_id="q1"
    )

    await books.stub.AdjustStock(request, metadata=SHOP)
    await books.stub.AdjustStock(request, metadata=STRANGER)
    await books.create("B", request_id="q1")

    assert (await books.levels("A"))[0] == 12


async def test_a_call_without_time_left_does_nothing(books: Inventory) -> None:
    before = await books.everything()

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        request = stock_pb2.CreateStockRequest(sku="NEW")
        await books.stub.CreateStock(request, metadata=SHOP, timeout=0.03)

    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.sleep(0.2)
    assert await books.everything() == before
