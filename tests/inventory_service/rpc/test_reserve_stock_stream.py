"""ReserveStockStream."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from holdfast.inventory.v1 import reservation_pb2 as pb
from sqlalchemy import text

from servicekit.errors import DatabaseUnavailable
from servicekit.process.readiness import Readiness
from servicekit.process.server import Server
from tests.inventory_service.client import SHOP, Inventory, lines, refused


def wish(number: int, sku: str = "A", quantity: int = 1, **fields: Any) -> pb.ReserveStockStreamRequest:
    given: dict[str, Any] = {"correlation_id": f"c{number}"} | fields
    reserve = pb.ReserveStockRequest(
        reservation_id=f"r{number}", holder="order:1", lines=lines({sku: quantity})
    )
    return pb.ReserveStockStreamRequest(reserve=reserve, **given)


async def reserve(
    inventory: Inventory, *wishes: pb.ReserveStockStreamRequest
) -> dict[str, pb.ReserveStockStreamResponse]:
    """The answers by correlation id."""
    call = inventory.stub.ReserveStockStream(iter(wishes), metadata=SHOP, timeout=20)
    found = [answer async for answer in call]
    assert len(found) == len(wishes)
    return {answer.correlation_id: answer for answer in found}


async def test_each_message_is_answered_by_what_is_held(inventory: Inventory) -> None:
    await inventory.create("A", 100)

    answers = await reserve(inventory, *(wish(number) for number in range(100)))

    assert set(answers) == {f"c{number}" for number in range(100)}
    assert answers["c7"].reservation == await inventory.reservation("r7")
    assert answers["c7"].reservation.created_by == "merchant:7"
    assert await inventory.levels("A") == (100, 100, 0)


async def test_a_refusal_is_an_answer_and_leaves_the_others_alone(inventory: Inventory) -> None:
    await inventory.create("A", 5)

    answers = await reserve(
        inventory, wish(1), wish(2, quantity=50), wish(3, sku="NO"), wish(4, quantity=0), wish(5)
    )

    refusal = answers["c2"].refusal
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION.value[0],
        "INSUFFICIENT_STOCK",
    )
    assert refusal.message.startswith("not enough stock: A: requested 50")
    assert refusal.metadata["shortages"].startswith("A: requested 50")
    assert answers["c3"].refusal.reason == "STOCK_NOT_FOUND"
    assert dict(answers["c3"].refusal.metadata) == {"skus": "NO"}
    assert answers["c4"].refusal.reason == "FIELD_INVALID"
    assert "lines[0].quantity" in answers["c4"].refusal.message
    assert [answers[name].WhichOneof("outcome") for name in ("c1", "c5")] == ["reservation"] * 2
    assert await inventory.levels("A") == (5, 2, 3)


async def test_a_message_without_a_correlation_id_holds_nothing(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    before = await inventory.everything()

    answers = await reserve(inventory, wish(1, correlation_id=""))

    assert answers[""].refusal.reason == "FIELD_INVALID"
    assert await inventory.everything() == before


async def test_the_same_id_again_is_answered_alike(inventory: Inventory) -> None:
    await inventory.create("A", 5)

    answers = await reserve(
        inventory, wish(1), wish(1, correlation_id="again"), wish(1, correlation_id="more")
    )

    assert answers["c1"].reservation == answers["again"].reservation == answers["more"].reservation
    assert await inventory.levels("A") == (5, 1, 4)


async def test_a_repeated_request_id_is_answered_as_the_first_message_was(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    first, other = wish(1), wish(1, quantity=2, correlation_id="other")
    for message in (first, other):
        message.reserve.request_id = "q1"

    made = (await reserve(inventory, first))["c1"]
    await inventory.release("r1")
    again = await reserve(inventory, first, other)

    assert made.reservation.state == pb.RESERVATION_STATE_HELD
    assert not made.replayed
    assert (again["c1"].reservation, again["c1"].replayed) == (made.reservation, True)
    assert again["other"].refusal.reason == "REQUEST_ID_REUSED"
    assert await inventory.levels("A") == (5, 0, 5)


async def test_bytes_that_are_no_message_end_the_stream_after_the_answers_to_those_before(
    inventory: Inventory, inventory_channel: grpc.aio.Channel
) -> None:
    await inventory.create("A", 5)
    method: Any = inventory_channel.stream_stream(
        "/holdfast.inventory.v1.InventoryService/ReserveStockStream"
    )
    contents = [wish(1).SerializeToString(), b"\xff", wish(2).SerializeToString()]
    answered = []

    async def read() -> None:
        async for answer in method(iter(contents), metadata=SHOP, timeout=20):
            answered.append(pb.ReserveStockStreamResponse.FromString(answer))

    refusal = await refused(read())

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert [answer.correlation_id for answer in answered] == ["c1"]
    assert await inventory.levels("A") == (5, 1, 4)


async def test_answers_come_while_the_caller_still_asks(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    call = inventory.stub.ReserveStockStream(metadata=SHOP, timeout=20)

    for number in range(3):
        await call.write(wish(number))
        answer = await asyncio.wait_for(call.read(), 5)
        assert isinstance(answer, pb.ReserveStockStreamResponse)
        assert answer.correlation_id == f"c{number}"
    await call.done_writing()

    assert await call.read() == grpc.aio.EOF


async def test_one_that_waits_holds_up_no_other(inventory: Inventory) -> None:
    await inventory.create("A", 100)
    await inventory.create("B", 100)
    wishes = [wish(0), *(wish(number, sku="B") for number in range(1, 60))]

    async with inventory.engine.connect() as blocker:
        await blocker.execute(text("SELECT FROM inventory.stock WHERE sku = 'A' FOR UPDATE"))
        answered = []
        async for answer in inventory.stub.ReserveStockStream(iter(wishes), metadata=SHOP, timeout=20):
            answered.append(answer.correlation_id)
            if len(answered) == 59:
                await blocker.rollback()

    assert answered[-1] == "c0"
    assert await inventory.levels("A") == (100, 1, 99)


@pytest.mark.parametrize("seconds", [None, 20])
async def test_each_message_of_a_long_stream_has_the_time_of_a_call(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch, seconds: float | None
) -> None:
    await inventory.create("A", 5)
    monkeypatch.setattr("servicekit.rpc.calls.CALL_CAP_SECONDS", 0.8)
    monkeypatch.setattr("servicekit.rpc.calls.STREAM_CAP_SECONDS", 0.8)

    async def wishes() -> AsyncIterator[pb.ReserveStockStreamRequest]:
        for number in range(4):
            yield wish(number)
            await asyncio.sleep(0.4)

    call = inventory.stub.ReserveStockStream(wishes(), metadata=SHOP, timeout=seconds)

    assert [answer.WhichOneof("outcome") async for answer in call] == ["reservation"] * 4


async def test_each_message_is_admitted_anew(
    second: tuple[Server, Inventory], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, inventory = second
    await inventory.create("A", 5)
    stream: Any = inventory.stub.ReserveStockStream(metadata=SHOP, timeout=20)
    await stream.write(wish(1))
    assert (await stream.read()).WhichOneof("outcome") == "reservation"

    def unfit(readiness: Readiness, method: str) -> None:
        raise DatabaseUnavailable("the schema is at 0001")

    monkeypatch.setattr(Readiness, "admit", unfit)
    await stream.write(wish(2))
    answer = await stream.read()

    assert (answer.refusal.reason, answer.refusal.message) == (
        "DATABASE_UNAVAILABLE",
        "the schema is at 0001",
    )
    monkeypatch.undo()
    assert await inventory.levels("A") == (5, 1, 4)


async def test_a_caller_that_leaves_ends_the_stream_and_keeps_what_is_held(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    call = inventory.stub.ReserveStockStream(metadata=SHOP, timeout=20)
    await call.write(wish(1))
    await call.read()

    call.cancel()

    assert (await inventory.reservation("r1")).state == pb.RESERVATION_STATE_HELD
    assert len(await reserve(inventory, wish(2))) == 1
