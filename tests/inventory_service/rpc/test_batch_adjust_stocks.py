"""BatchAdjustStocks."""

from typing import Any

import grpc
import pytest
from holdfast.inventory.v1 import movement_pb2 as pb
from holdfast.inventory.v1 import stock_pb2

from tests.inventory_service.client import SHOP, Inventory, refused


def one(sku: str, delta: int, **fields: Any) -> pb.StockAdjustment:
    given: dict[str, Any] = {"reason": pb.MOVEMENT_REASON_RECEIVED} | fields
    return pb.StockAdjustment(sku=sku, delta=delta, **given)


async def adjust(
    inventory: Inventory, *adjustments: pb.StockAdjustment, request_id: str = "q1"
) -> pb.BatchAdjustStocksResponse:
    request = pb.BatchAdjustStocksRequest(adjustments=adjustments, request_id=request_id)
    return await inventory.stub.BatchAdjustStocks(request, metadata=SHOP, timeout=10)


async def test_adjustments_are_applied_in_their_order_and_each_is_recorded(inventory: Inventory) -> None:
    await inventory.create("A", 1)
    await inventory.create("B", 5)

    answer = await adjust(
        inventory,
        one("B", -5, reason=pb.MOVEMENT_REASON_LOST, reference="first"),
        one("A", 2, reference="second"),
        one("B", 3, reference="third"),
    )

    assert [(stock.sku, stock.quantity) for stock in answer.stocks] == [("B", 3), ("A", 3)]
    assert [(entry.sku, entry.delta, entry.reference) for entry in answer.movements] == [
        ("B", -5, "first"),
        ("A", 2, "second"),
        ("B", 3, "third"),
    ]
    ledger = await inventory.stub.ListMovements(pb.ListMovementsRequest(page_size=3))
    assert list(ledger.movements) == list(reversed(answer.movements))


async def test_one_that_cannot_be_undoes_all(inventory: Inventory) -> None:
    await inventory.create("A", 1)
    await inventory.create("B", 5)
    await inventory.reserve("r1", {"B": 4})
    before = await inventory.everything()

    refusal = await refused(adjust(inventory, one("A", 7), one("B", -2), one("A", -100)))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STOCK_HAS_HOLDS")
    assert (refusal.metadata["sku"], refusal.metadata["holders"]) == ("B", "r1 (order:1)")
    assert await inventory.everything() == before


async def test_every_adjustment_that_cannot_be_is_a_violation(inventory: Inventory) -> None:
    for sku, quantity in {"A": 1, "B": 5, "C": 2_000_000_000 // 2, "D": 1}.items():
        await inventory.create(sku, quantity)
    await inventory.reserve("r1", {"B": 4})

    refusal = await refused(
        adjust(inventory, one("D", 1), one("A", -7), one("B", -2), one("C", 10**9), one("C", 1), one("A", -1))
    )

    assert (refusal.reason, refusal.shortages) == ("INSUFFICIENT_STOCK", [("A", 7, 1)])
    assert refusal.violations == [
        ("A", "requested 7, available 1"),
        ("B", "4 of the 5 units of B are held by r1 (order:1)"),
        ("C", "C has 2000000000 units and can have at most 2000000000"),
    ]


async def test_stocks_are_answered_by_their_numbers(inventory: Inventory) -> None:
    made = await inventory.create("A", 1, details=stock_pb2.StockDetails(notes="x" * 5000))

    (stock,) = (await adjust(inventory, one("A", 2))).stocks

    assert (stock.sku, stock.status, stock.quantity, stock.available_quantity) == ("A", made.status, 3, 3)
    assert stock.etag not in ("", made.etag)
    assert stock.create_time == made.create_time
    assert stock.ByteSize() < 200


async def test_every_unknown_sku_is_named(inventory: Inventory) -> None:
    await inventory.create("A", 1)
    before = await inventory.everything()

    refusal = await refused(adjust(inventory, one("A", -9), one("NO", 1), one("NEITHER", 1), one("NO", 2)))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "STOCK_NOT_FOUND")
    assert refusal.metadata == {"skus": "NO, NEITHER"}
    assert await inventory.everything() == before


async def test_a_repeat_is_answered_as_the_first_call_was(inventory: Inventory) -> None:
    await inventory.create("A", 1)
    first = await adjust(inventory, one("A", 2))
    before = await inventory.everything()

    again = await adjust(inventory, one("A", 2))
    refusal = await refused(adjust(inventory, one("A", 3)))

    assert again == first
    assert refusal.reason == "REQUEST_ID_REUSED"
    assert await inventory.everything() == before


async def test_five_hundred_are_applied_at_once(inventory: Inventory) -> None:
    await inventory.create("A", 0)

    answer = await adjust(inventory, *[one("A", 1)] * 500)

    assert (answer.stocks[0].quantity, len(answer.movements)) == (500, 500)


@pytest.mark.parametrize("size", [0, 501])
async def test_a_batch_has_from_one_to_five_hundred(inventory: Inventory, size: int) -> None:
    await inventory.create("A", 0)
    before = await inventory.everything()

    refusal = await refused(adjust(inventory, *[one("A", 1)] * size))

    assert [field for field, _ in refusal.violations] == ["adjustments"]
    assert await inventory.everything() == before


async def test_adjustments_beyond_the_most_are_not_looked_at(inventory: Inventory) -> None:
    refusal = await refused(adjust(inventory, *[one("A", 1)] * 500, *[one("", 0)] * 500))

    assert refusal.violations == [("adjustments", "must have at most 500 entries, has 1000")]


async def test_every_violation_of_every_adjustment_is_named_at_once(inventory: Inventory) -> None:
    bad = one("", 0, reason=pb.MOVEMENT_REASON_SOLD, reference="x" * 201, note="y" * 501)

    refusal = await refused(
        adjust(inventory, one("A", 1), bad, one("A", 1, reason=pb.MOVEMENT_REASON_OTHER), request_id="")
    )

    assert sorted(field for field, _ in refusal.violations) == [
        "adjustments[1].delta",
        "adjustments[1].note",
        "adjustments[1].reason",
        "adjustments[1].reference",
        "adjustments[1].sku",
        "adjustments[2].note",
        "request_id",
    ]
