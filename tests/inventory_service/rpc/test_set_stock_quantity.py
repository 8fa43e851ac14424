"""SetStockQuantity."""

from typing import Any

import grpc
import pytest
from holdfast.inventory.v1 import movement_pb2 as pb

from tests.inventory_service.client import SHOP, Inventory, refused


async def count(inventory: Inventory, quantity: int, **fields: Any) -> pb.SetStockQuantityResponse:
    given: dict[str, Any] = {"sku": "A", "quantity": quantity} | fields
    request = pb.SetStockQuantityRequest(**given)
    return await inventory.stub.SetStockQuantity(request, metadata=SHOP, timeout=10)


@pytest.mark.parametrize(("counted", "delta"), [(8, 3), (2, -3), (0, -5)])
async def test_the_difference_is_written_as_a_correction(
    inventory: Inventory, counted: int, delta: int
) -> None:
    made = await inventory.create("A", 5)

    answer = await count(inventory, counted, expected_quantity=5, reference="count 9", note="shelf 2")

    assert answer.stock.quantity == counted
    assert answer.stock.etag not in ("", made.etag)
    movement = answer.movement
    assert (movement.delta, movement.reason) == (delta, pb.MOVEMENT_REASON_COUNT_CORRECTION)
    assert (movement.reference, movement.note, movement.actor) == ("count 9", "shelf 2", "merchant:7")
    ledger = await inventory.stub.ListMovements(pb.ListMovementsRequest(sku="A"))
    assert ledger.movements[0] == movement


async def test_a_count_that_agrees_changes_nothing(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    before = await inventory.everything()

    answer = await count(inventory, 5, expected_quantity=5)

    assert answer.stock.quantity == 5
    assert not answer.HasField("movement")
    assert await inventory.everything() == before


async def test_a_count_of_other_books_is_refused_with_both_numbers(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    before = await inventory.everything()

    refusal = await refused(count(inventory, 4, expected_quantity=6))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "QUANTITY_MISMATCH")
    assert refusal.metadata == {"sku": "A", "quantity": "5", "expected_quantity": "6"}
    assert refusal.violations == [("A", "expected 6, has 5")]
    assert await inventory.everything() == before


async def test_what_is_held_cannot_be_counted_away(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 3})
    before = await inventory.everything()

    refusal = await refused(count(inventory, 2, expected_quantity=5))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STOCK_HAS_HOLDS")
    assert refusal.metadata["holders"] == "r1 (order:1)"
    assert await inventory.everything() == before
    assert (await count(inventory, 3, expected_quantity=5)).stock.available_quantity == 0


async def test_a_hold_past_its_time_is_in_no_counts_way(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 3}, ttl=60)
    await inventory.let_expire("r1")

    await count(inventory, 1, expected_quantity=5)

    assert await inventory.levels("A") == (1, 0, 1)


async def test_a_repeat_is_answered_as_the_first_call_was(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    first = await count(inventory, 4, expected_quantity=5, request_id="q1")
    before = await inventory.everything()

    again = await count(inventory, 4, expected_quantity=5, request_id="q1")

    assert again == first
    assert await inventory.everything() == before


async def test_an_unknown_sku_is_not_found(inventory: Inventory) -> None:
    refusal = await refused(count(inventory, 1, sku="NO", expected_quantity=0))

    assert (refusal.code, refusal.metadata) == (grpc.StatusCode.NOT_FOUND, {"skus": "NO"})


async def test_every_violation_is_named_at_once(inventory: Inventory) -> None:
    request = pb.SetStockQuantityRequest(quantity=-1, reference="x" * 201, note="y" * 501, request_id="ü")

    refusal = await refused(inventory.stub.SetStockQuantity(request))

    assert sorted(field for field, _ in refusal.violations) == [
        "expected_quantity",
        "note",
        "quantity",
        "reference",
        "request_id",
        "sku",
    ]
