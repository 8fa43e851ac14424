"""SetStockThreshold and ListLowStock: at the edge, once, and whoever changes the stock."""

from datetime import UTC
from typing import Any

import grpc
import pytest
from holdfast.inventory.v1 import stock_pb2
from sqlalchemy import text

from tests.inventory_service.client import SHOP, Inventory, refused
from tests.inventory_service.low_stocks import listed, low, set_threshold, write


async def test_a_stock_is_low_from_its_threshold_on_until_it_is_well_above_it(inventory: Inventory) -> None:
    await inventory.create("A", 20)
    answer = await set_threshold(inventory, "A", 15)
    assert (answer.sku, answer.threshold, answer.never_low) == ("A", 15, False)

    seen = []
    for step, delta in enumerate((-4, -1, +2, -2, +2, +1)):
        await inventory.adjust("A", delta, f"q{step}", reason="MOVEMENT_REASON_FOUND")
        seen.append((await low(inventory)).get("A"))

    # 16, 15, 17, 15, 17, 18: a tenth of 15, rounded up, must be between.
    assert seen == [None, (15, 15), (17, 15), (15, 15), (17, 15), None]


async def test_since_when_it_is_low_does_not_change_at_the_edge(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await set_threshold(inventory, "A", 5)
    [first] = (await listed(inventory)).low_stocks

    await inventory.adjust("A", -2, "q1", reason="MOVEMENT_REASON_LOST")
    await inventory.adjust("A", 3, "q2")

    [later] = (await listed(inventory)).low_stocks
    assert (later.available_quantity, later.low_since_time) == (6, first.low_since_time)


@pytest.mark.parametrize(("threshold", "ended_at"), [(0, 1), (1, 3), (10, 12), (11, 14), (100, 111)])
async def test_the_margin_is_a_tenth_rounded_up(inventory: Inventory, threshold: int, ended_at: int) -> None:
    await inventory.create("A", threshold)
    await set_threshold(inventory, "A", threshold)

    for units in range(threshold, ended_at):
        assert await low(inventory) == {"A": (units, threshold)}
        await inventory.adjust("A", 1, f"to{units + 1}")

    assert await low(inventory) == {}


async def test_holds_make_a_stock_low_and_their_end_makes_it_whole(inventory: Inventory) -> None:
    await inventory.create("A", 10)
    await inventory.create("B", 10)
    await set_threshold(inventory, "A", 4)
    await set_threshold(inventory, "B", 4)

    await inventory.reserve("r1", {"A": 6, "B": 5})
    assert await low(inventory) == {"A": (4, 4)}
    await inventory.commit("r1")
    assert await low(inventory) == {"A": (4, 4)}
    await inventory.reserve("r2", {"A": 1, "B": 1})
    assert await low(inventory) == {"A": (3, 4), "B": (4, 4)}

    await inventory.release("r2")
    await inventory.adjust("A", 9, "q1")
    assert await low(inventory) == {"B": (5, 4)}


async def test_only_stocks_that_can_be_reserved_are_low(inventory: Inventory) -> None:
    await inventory.create("A", 0)
    await set_threshold(inventory, "A", 3)

    async def low_in(status: Any) -> bool:
        request = stock_pb2.ChangeStockStatusRequest(sku="A", status=status)
        await inventory.stub.ChangeStockStatus(request, metadata=SHOP, timeout=10)
        return "A" in await low(inventory)

    path = ("PRESALE", "PREORDER", "ERROR", "IN_STOCK", "SOLD")
    found = [await low_in(f"STOCK_STATUS_{status}") for status in path]
    assert found == [True, True, False, True, False]


async def test_stocks_that_were_changed_unjudged_are_found_by_name(inventory: Inventory) -> None:
    for sku, units in (("A", 9), ("B", 1)):
        await inventory.create(sku, units)
        await set_threshold(inventory, sku, 5)

    async with inventory.engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(text("UPDATE inventory.stock SET quantity = 10 - quantity"))
    found = [finding for finding in await inventory.findings() if "alerts" in finding]
    await write(inventory, 9)
    async with inventory.engine.begin() as connection:
        await connection.execute(text("UPDATE inventory.stock SET quantity = 1 WHERE sku = 'B'"))

    wanted = "the number that its threshold asks for is"
    assert sorted(found) == [f"A: open_alerts is 0, {wanted} 1", f"B: open_alerts is 1, {wanted} 0"]


async def test_a_new_threshold_judges_anew_without_the_margin(inventory: Inventory) -> None:
    await inventory.create("A", 10)
    await set_threshold(inventory, "A", 10)
    [first] = (await listed(inventory)).low_stocks

    await set_threshold(inventory, "A", 50)
    [still] = (await listed(inventory)).low_stocks
    assert (still.threshold, still.low_since_time) == (50, first.low_since_time)

    await set_threshold(inventory, "A", 9)
    assert await low(inventory) == {}


async def test_what_an_older_writer_changes_is_judged_too(inventory: Inventory) -> None:
    await inventory.create("A", 9)
    await set_threshold(inventory, "A", 2)

    await write(inventory, 1)
    assert await low(inventory) == {"A": (1, 2)}

    await write(inventory, 9)
    assert await low(inventory) == {}


async def test_pages_hold_the_longest_first(inventory: Inventory) -> None:
    skus = ["C", "A", "D", "B", "E"]
    for sku in skus:
        await inventory.create(sku, 1)
        await set_threshold(inventory, sku, 1)

    first = await listed(inventory, page_size=3)
    second = await listed(inventory, page_size=3, page_token=first.next_page_token)

    assert [found.sku for answer in (first, second) for found in answer.low_stocks] == skus
    assert second.next_page_token == ""
    times = [found.low_since_time.ToDatetime(tzinfo=UTC) for found in first.low_stocks]
    assert times == sorted(times)


async def test_a_removed_stock_is_low_no_more(inventory: Inventory) -> None:
    await inventory.create("A", 0)
    await set_threshold(inventory, "A", 0)
    assert await low(inventory) == {"A": (0, 0)}

    await inventory.stub.DeleteStock(stock_pb2.DeleteStockRequest(sku="A"), metadata=SHOP, timeout=10)

    assert await low(inventory) == {}


async def test_a_repeated_request_is_answered_once_and_bad_ones_change_nothing(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await set_threshold(inventory, "A", 5, request_id="q1")
    await set_threshold(inventory, "A", 1)
    repeated = await set_threshold(inventory, "A", 5, request_id="q1")
    assert repeated.threshold == 5
    assert await low(inventory) == {}
    before = await inventory.everything()

    unknown = await refused(set_threshold(inventory, "NO", 5))
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "STOCK_NOT_FOUND")
    bad = await refused(set_threshold(inventory, "a b", -1, request_id="ü"))
    assert [field for field, _ in bad.violations] == ["request_id", "sku", "threshold"]
    assert (await refused(set_threshold(inventory, "A", 1_000_000_001))).violations[0][0] == "threshold"
    assert (await refused(listed(inventory, page_size=-1))).violations[0][0] == "page_size"
    assert (await refused(listed(inventory, page_token="x"))).reason == "PAGE_TOKEN_MISMATCH"
    assert await inventory.everything() == before
