"""DeleteStock."""

from typing import Any

import grpc
from holdfast.inventory.v1 import movement_pb2, reservation_pb2
from holdfast.inventory.v1 import stock_pb2 as pb

from tests.inventory_service.client import SHOP, Inventory, refused


async def delete(inventory: Inventory, sku: str, **fields: Any) -> pb.DeleteStockResponse:
    request = pb.DeleteStockRequest(sku=sku, **fields)
    return await inventory.stub.DeleteStock(request, metadata=SHOP, timeout=10)


async def test_a_stock_that_is_gone_is_not_found_and_its_code_is_free(inventory: Inventory) -> None:
    await inventory.create("A")

    await delete(inventory, "A")

    assert (await refused(inventory.levels("A"))).reason == "STOCK_NOT_FOUND"
    assert (await refused(delete(inventory, "A"))).reason == "STOCK_NOT_FOUND"
    assert (await refused(inventory.reserve("r1", {"A": 1}))).reason == "STOCK_NOT_FOUND"
    assert (await inventory.create("A", 3)).quantity == 3


async def test_its_history_stays_under_its_code(inventory: Inventory) -> None:
    await inventory.create("A", 2)
    await inventory.reserve("r1", {"A": 2})
    sold = await inventory.commit("r1")
    await delete(inventory, "A")
    await inventory.create("A", 5)

    ledger = await inventory.stub.ListMovements(movement_pb2.ListMovementsRequest(sku="A"))
    listed = await inventory.stub.ListReservations(reservation_pb2.ListReservationsRequest(sku="A"))

    assert [(entry.sku, entry.delta) for entry in ledger.movements] == [("A", 5), ("A", -2), ("A", 2)]
    assert await inventory.reservation("r1") == sold
    assert list(listed.reservations) == [sold]
    assert await inventory.commit("r1") == sold
    assert await inventory.reserve("r1", {"A": 2}) == sold


async def test_what_is_held_is_not_removed(inventory: Inventory) -> None:
    await inventory.create("A", 2)
    await inventory.reserve("r1", {"A": 2})
    before = await inventory.everything()

    refusal = await refused(delete(inventory, "A"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STOCK_HAS_HOLDS")
    assert refusal.metadata["holders"] == "r1 (order:1)"
    assert await inventory.everything() == before


async def test_what_is_there_is_not_removed(inventory: Inventory) -> None:
    await inventory.create("A", 2)
    before = await inventory.everything()

    refusal = await refused(delete(inventory, "A"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "QUANTITY_MISMATCH")
    assert refusal.metadata == {"sku": "A", "quantity": "2", "expected_quantity": "0"}
    assert await inventory.everything() == before


async def test_units_of_a_hold_past_its_time_are_there_and_held_by_nobody(inventory: Inventory) -> None:
    await inventory.create("A", 2)
    await inventory.reserve("r1", {"A": 2}, ttl=60)
    await inventory.let_expire("r1")

    refusal = await refused(delete(inventory, "A"))

    assert refusal.reason == "QUANTITY_MISMATCH"


async def test_a_stale_etag_is_refused(inventory: Inventory) -> None:
    made = await inventory.create("A", 1)
    emptied = await inventory.adjust("A", -1, "q1")
    before = await inventory.everything()

    refusal = await refused(delete(inventory, "A", etag=made.etag))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert await inventory.everything() == before
    await delete(inventory, "A", etag=emptied.etag)


async def test_an_etag_is_stale_once_its_stock_was_removed_also_for_one_of_the_same_sku(
    inventory: Inventory,
) -> None:
    etags = [(await inventory.create("A")).etag]
    etags += [(await inventory.adjust("A", delta, f"q{delta}")).etag for delta in (1, -1)]
    await delete(inventory, "A")
    made = await inventory.create("A")
    await inventory.adjust("A", 1, "q2")
    emptied = await inventory.adjust("A", -1, "q3")
    before = await inventory.everything()

    for etag in etags:
        assert (await refused(delete(inventory, "A", etag=etag))).reason == "ETAG_MISMATCH"

    assert await inventory.everything() == before
    assert len({*etags, made.etag, emptied.etag}) == 5
    await delete(inventory, "A", etag=emptied.etag)


async def test_a_repeat_removes_nothing_more(inventory: Inventory) -> None:
    await inventory.create("A")
    await delete(inventory, "A", request_id="q1")
    await inventory.create("A")

    await delete(inventory, "A", request_id="q1")

    assert await inventory.levels("A") == (0, 0, 0)


async def test_every_violation_is_named_at_once(inventory: Inventory) -> None:
    refusal = await refused(delete(inventory, "", etag="?", request_id="ü"))

    assert sorted(field for field, _ in refusal.violations) == ["etag", "request_id", "sku"]
