"""CheckAvailability and ExplainAvailability."""

import asyncio

import grpc
import pytest
from holdfast.inventory.v1 import movement_pb2
from holdfast.inventory.v1 import reservation_pb2 as pb
from sqlalchemy import text

from tests.inventory_service.client import Inventory, lines, refused


async def check(inventory: Inventory, *pairs: tuple[str, int]) -> pb.CheckAvailabilityResponse:
    return await inventory.stub.CheckAvailability(pb.CheckAvailabilityRequest(lines=lines(pairs)), timeout=10)


async def explain(inventory: Inventory, sku: str) -> pb.ExplainAvailabilityResponse:
    return await inventory.stub.ExplainAvailability(pb.ExplainAvailabilityRequest(sku=sku), timeout=10)


def judged(answer: pb.CheckAvailabilityResponse) -> list[tuple[str, int, int, bool]]:
    return [
        (line.sku, line.requested_quantity, line.available_quantity, line.reservable) for line in answer.lines
    ]


async def test_every_sku_is_judged_once_in_the_order_asked(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.create("B", 2)
    await inventory.reserve("r1", {"A": 1})

    answer = await check(inventory, ("B", 1), ("A", 2), ("B", 1))

    assert judged(answer) == [("B", 2, 2, True), ("A", 2, 4, True)]
    assert answer.available


async def test_more_than_is_free_is_not_available(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.create("B", 2)
    await inventory.reserve("r1", {"A": 1})

    answer = await check(inventory, ("A", 5), ("B", 2))

    assert judged(answer) == [("A", 5, 4, True), ("B", 2, 2, True)]
    assert not answer.available


async def test_what_is_unknown_or_not_for_sale_cannot_be_reserved(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    async with inventory.engine.begin() as connection:
        await connection.execute(text("UPDATE inventory.stock SET status = 'error'"))

    answer = await check(inventory, ("A", 1), ("NO", 1))

    assert judged(answer) == [("A", 1, 0, False), ("NO", 1, 0, False)]
    assert not answer.available


async def test_a_hold_past_its_time_counts_as_free_before_any_sweep(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("old", {"A": 3}, ttl=60)
    await inventory.reserve("new", {"A": 1}, ttl=60)
    await inventory.let_expire("old")
    before = await inventory.everything()

    checked = await check(inventory, ("A", 4))
    explained = await explain(inventory, "A")

    assert judged(checked) == [("A", 4, 4, True)]
    assert checked.available
    assert (explained.quantity, explained.reserved_quantity, explained.available_quantity) == (5, 1, 4)
    assert [hold.reservation_id for hold in explained.holds] == ["new"]
    assert await inventory.everything() == before
    await inventory.reserve("r1", {"A": 4})


async def test_an_explanation_names_every_hold_and_the_last_movements(inventory: Inventory) -> None:
    await inventory.create("A", 50)
    first = await inventory.reserve("r1", {"A": 2}, holder="order:1", ttl=600)
    await inventory.reserve("r2", {"A": 3}, holder="order:2")
    for index in range(25):
        await inventory.adjust("A", 1, f"q{index}")

    answer = await explain(inventory, "A")

    assert (answer.quantity, answer.reserved_quantity, answer.available_quantity) == (75, 5, 70)
    assert answer.ledger_quantity == 75
    assert [(hold.reservation_id, hold.holder, hold.quantity) for hold in answer.holds] == [
        ("r1", "order:1", 2),
        ("r2", "order:2", 3),
    ]
    assert answer.holds[0].create_time == first.create_time
    assert answer.holds[0].expire_time == first.expire_time
    assert not answer.holds[1].HasField("expire_time")
    assert 0 < answer.holds[0].age.ToMicroseconds() < 60_000_000
    ledger = await inventory.stub.ListMovements(movement_pb2.ListMovementsRequest(sku="A", page_size=20))
    assert list(answer.movements) == list(ledger.movements)


async def test_an_explanation_agrees_with_itself_while_the_stock_changes(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    done = asyncio.Event()

    async def change() -> None:
        for index in range(40):
            await inventory.adjust("A", 1, f"q{index}")
            await inventory.reserve(f"r{index}", {"A": 1})
        done.set()

    async def watch() -> int:
        looks = 0
        while not done.is_set():
            answer = await explain(inventory, "A")
            assert answer.ledger_quantity == answer.quantity
            assert sum(hold.quantity for hold in answer.holds) == answer.reserved_quantity
            assert answer.movements[0].delta == (5 if answer.quantity == 5 else 1)
            looks += 1
        return looks

    looks, *_ = await asyncio.gather(watch(), watch(), watch(), change())

    assert looks > 5


async def test_an_unknown_stock_is_not_explained(inventory: Inventory) -> None:
    refusal = await refused(explain(inventory, "NO"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "STOCK_NOT_FOUND")


@pytest.mark.parametrize("count", [0, 201])
async def test_a_check_has_from_one_to_two_hundred_lines(inventory: Inventory, count: int) -> None:
    refusal = await refused(check(inventory, *[("A", 1)] * count))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert [field for field, _ in refusal.violations] == ["lines"]


async def test_every_violation_of_a_check_is_named_at_once(inventory: Inventory) -> None:
    refusal = await refused(check(inventory, ("", 0), ("A", 1_000_000_001)))

    assert [field for field, _ in refusal.violations] == [
        "lines[0].sku",
        "lines[0].quantity",
        "lines[1].quantity",
    ]
