"""ChangeStockStatus."""

from typing import Any

import grpc
import pytest
from holdfast.inventory.v1 import stock_pb2 as pb
from sqlalchemy import text

from tests.inventory_service.client import SHOP, Inventory, refused


async def change(inventory: Inventory, status: str, **fields: Any) -> pb.Stock:
    given: dict[str, Any] = {"sku": "A"} | fields
    request = pb.ChangeStockStatusRequest(status=pb.StockStatus.Value(f"STOCK_STATUS_{status}"), **given)
    return (await inventory.stub.ChangeStockStatus(request, metadata=SHOP, timeout=10)).stock


async def test_each_change_is_appended_to_the_history(inventory: Inventory) -> None:
    made = await inventory.create("A", 5)

    await change(inventory, "PRESALE", reason="late")
    changed = await change(inventory, "ERROR")

    assert changed.status == pb.STOCK_STATUS_ERROR
    assert changed.status_history[0] == made.status_history[0]
    assert [(entry.from_status, entry.to_status, entry.reason) for entry in changed.status_history[1:]] == [
        (pb.STOCK_STATUS_IN_STOCK, pb.STOCK_STATUS_PRESALE, "late"),
        (pb.STOCK_STATUS_PRESALE, pb.STOCK_STATUS_ERROR, ""),
    ]
    assert changed.status_history[2].change_time == changed.update_time
    assert changed.etag != made.etag


async def test_the_last_hundred_changes_are_shown_and_all_are_kept(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    statement = text(
        "UPDATE inventory.stock SET status_history = (SELECT jsonb_agg(jsonb_build_object("
        "'to_status', 'error', 'reason', number::text) ORDER BY number) FROM generate_series(1, 150) number)"
    )
    async with inventory.engine.begin() as connection:
        await connection.execute(statement)

    changed = await change(inventory, "PRESALE", reason="151")

    assert [entry.reason for entry in changed.status_history] == [str(number) for number in range(52, 152)]
    count = text("SELECT jsonb_array_length(status_history) FROM inventory.stock")
    async with inventory.engine.connect() as connection:
        assert (await connection.execute(count)).scalar_one() == 151


async def test_what_may_follow_is_named(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    before = await inventory.everything()

    refusal = await refused(change(inventory, "PREORDER"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ILLEGAL_STATUS_CHANGE")
    assert refusal.metadata == {
        "sku": "A",
        "from_status": "IN_STOCK",
        "to_status": "PREORDER",
        "allowed": "PRESALE, SOLD, CANCELED, ERROR",
    }
    assert await inventory.everything() == before


async def test_what_is_held_is_not_sold_as_a_whole(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 1})
    before = await inventory.everything()

    refusal = await refused(change(inventory, "SOLD"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STOCK_HAS_HOLDS")
    assert refusal.metadata["holders"] == "r1 (order:1)"
    assert await inventory.everything() == before


async def test_a_hold_past_its_time_is_in_nobodys_way(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await inventory.reserve("r1", {"A": 1}, ttl=60)
    await inventory.let_expire("r1")

    changed = await change(inventory, "CANCELED")

    assert (changed.status, changed.reserved_quantity) == (pb.STOCK_STATUS_CANCELED, 0)
    assert (await refused(change(inventory, "IN_STOCK"))).metadata["allowed"] == ""


@pytest.mark.parametrize(
    ("document", "entries"),
    [(None, 1), ("null", 1), ("[]", 1), ('{"to_status": "presale"}', 2), ("[{}, {}]", 3)],
)
async def test_nothing_that_older_systems_left_in_the_history_is_lost(
    inventory: Inventory, document: str | None, entries: int
) -> None:
    await inventory.create("A", 5)
    statement = text("UPDATE inventory.stock SET status_history = CAST(:document AS jsonb)")
    async with inventory.engine.begin() as connection:
        await connection.execute(statement, {"document": document})

    changed = await change(inventory, "ERROR")

    async with inventory.engine.connect() as connection:
        kept = await connection.execute(
            text("SELECT jsonb_array_length(status_history) FROM inventory.stock")
        )
        assert kept.scalar_one() == entries
    assert changed.status_history[-1].to_status == pb.STOCK_STATUS_ERROR


async def test_a_stale_etag_is_refused(inventory: Inventory) -> None:
    made = await inventory.create("A", 5)
    await change(inventory, "ERROR", etag=made.etag)
    before = await inventory.everything()

    refusal = await refused(change(inventory, "IN_STOCK", etag=made.etag))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert await inventory.everything() == before


async def test_a_repeat_is_answered_as_the_first_call_was(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    first = await change(inventory, "ERROR", request_id="q1")

    assert await change(inventory, "ERROR", request_id="q1") == first


async def test_every_violation_is_named_at_once(inventory: Inventory) -> None:
    refusal = await refused(
        change(inventory, "UNSPECIFIED", sku="", reason="x" * 501, etag="?", request_id="ü")
    )

    assert sorted(field for field, _ in refusal.violations) == [
        "etag",
        "reason",
        "request_id",
        "sku",
        "status",
    ]
