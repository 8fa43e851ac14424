"""AdjustStock."""

import grpc
import pytest
from holdfast.inventory.v1 import movement_pb2 as pb

from tests.inventory_service.client import SHOP, Inventory, refused


async def test_units_come_and_go_and_the_ledger_says_why(inventory: Inventory) -> None:
    made = await inventory.create("A", 5)
    request = pb.AdjustStockRequest(
        sku="A",
        delta=-2,
        reason=pb.MOVEMENT_REASON_DAMAGED,
        reference="report 9",
        note="fell",
        request_id="q1",
    )

    answer = await inventory.stub.AdjustStock(request, metadata=SHOP)

    assert answer.stock.quantity == 3
    assert answer.stock.etag not in ("", made.etag)
    assert answer.stock.update_time.ToNanoseconds() > answer.stock.create_time.ToNanoseconds()
    movement = answer.movement
    assert (movement.sku, movement.delta, movement.actor) == ("A", -2, "merchant:7")
    assert (movement.reason, movement.reference, movement.note) == (
        pb.MOVEMENT_REASON_DAMAGED,
        "report 9",
        "fell",
    )
    ledger = await inventory.stub.ListMovements(pb.ListMovementsRequest(sku="A"))
    assert ledger.movements[0] == movement
    assert [entry.delta for entry in ledger.movements] == [-2, 5]


async def test_what_is_held_stays_and_the_holders_are_named(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 2}, holder="order:1")
    await inventory.reserve("r2", {"A": 1}, holder="order:2")
    before = await inventory.everything()

    refusal = await refused(inventory.adjust("A", -3, "q1"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STOCK_HAS_HOLDS")
    assert refusal.metadata == {
        "sku": "A",
        "quantity": "5",
        "reserved_quantity": "3",
        "holders": "r1 (order:1), r2 (order:2)",
    }
    assert refusal.violations[0][0] == "A"
    assert await inventory.everything() == before
    assert (await inventory.adjust("A", -2, "q1")).available_quantity == 0


async def test_a_hold_past_its_time_is_in_nobodys_way(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.create("B", 1)
    await inventory.reserve("r1", {"A": 5, "B": 1}, ttl=60)
    await inventory.let_expire("r1")

    adjusted = await inventory.adjust("A", -5, "q1")

    assert (adjusted.quantity, adjusted.reserved_quantity) == (0, 0)
    assert await inventory.levels("B") == (1, 0, 1)


async def test_no_more_can_go_than_is_there(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    before = await inventory.everything()

    refusal = await refused(inventory.adjust("A", -6, "q1"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK")
    assert refusal.violations == [("A", "requested 6, available 5")]
    assert await inventory.everything() == before


async def test_a_stock_has_at_most_two_thousand_million_units(inventory: Inventory) -> None:
    await inventory.create("A", 1_000_000_000)
    await inventory.adjust("A", 1_000_000_000, "q1")
    before = await inventory.everything()

    refusal = await refused(inventory.adjust("A", 1, "q2"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STOCK_LIMIT_EXCEEDED")
    assert refusal.metadata == {"sku": "A", "quantity": "2000000000", "limit": "2000000000"}
    assert refusal.violations == [("A", "A has 2000000000 units and can have at most 2000000000")]
    assert await inventory.everything() == before


async def test_an_unknown_sku_is_not_found(inventory: Inventory) -> None:
    refusal = await refused(inventory.adjust("NO", 1, "q1"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "STOCK_NOT_FOUND")
    assert refusal.metadata == {"skus": "NO"}
    assert refusal.resource == ("stock", "NO")


async def test_a_stale_etag_is_refused_without_advice_to_retry(inventory: Inventory) -> None:
    made = await inventory.create("A", 5)
    changed = await inventory.adjust("A", 1, "q1", etag=made.etag)
    before = await inventory.everything()

    refusal = await refused(inventory.adjust("A", 1, "q2", etag=made.etag))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert refusal.metadata == {"sku": "A"}
    assert not refusal.retry
    assert await inventory.everything() == before
    assert (await inventory.adjust("A", 1, "q2", etag=changed.etag)).quantity == 7


async def test_every_violation_is_named_at_once(inventory: Inventory) -> None:
    request = pb.AdjustStockRequest(
        sku="", delta=0, reason=pb.MOVEMENT_REASON_SOLD, reference="x" * 201, note="y" * 501, etag="?"
    )

    refusal = await refused(inventory.stub.AdjustStock(request))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert {field for field, _ in refusal.violations} == {
        "sku",
        "delta",
        "reason",
        "reference",
        "note",
        "etag",
        "request_id",
    }


@pytest.mark.parametrize("delta", [-(2**63), 2**63 - 1, 1_000_000_001])
async def test_a_delta_has_a_limit(inventory: Inventory, delta: int) -> None:
    await inventory.create("A", 5)

    refusal = await refused(inventory.adjust("A", delta, "q1"))

    assert [field for field, _ in refusal.violations] == ["delta"]


async def test_other_needs_a_note(inventory: Inventory) -> None:
    await inventory.create("A", 5)

    refusal = await refused(inventory.adjust("A", 1, "q1", reason=pb.MOVEMENT_REASON_OTHER, note=" "))

    assert [field for field, _ in refusal.violations] == ["note"]
