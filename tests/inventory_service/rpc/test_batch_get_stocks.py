"""BatchGetStocks."""

import asyncio

import grpc
import pytest
from holdfast.inventory.v1 import stock_pb2 as pb
from sqlalchemy import text

from tests.inventory_service.client import Inventory, refused

LARGE_STOCKS = """
    INSERT INTO inventory.stock (sku, quantity, notes)
    SELECT sku, 0, :note FROM unnest(CAST(:skus AS text[])) AS sku
"""


async def get(inventory: Inventory, *skus: str) -> pb.BatchGetStocksResponse:
    return await inventory.stub.BatchGetStocks(pb.BatchGetStocksRequest(skus=skus), timeout=10)


async def test_stocks_are_answered_once_in_the_order_asked_and_unknown_codes_are_named(
    inventory: Inventory,
) -> None:
    made = {sku: await inventory.create(sku, 1) for sku in ("A", "B", "C")}

    answer = await get(inventory, "C", "NO", "A", "C", "NEITHER", "NO")

    assert list(answer.stocks) == [made["C"], made["A"]]
    assert list(answer.missing_skus) == ["NO", "NEITHER"]


async def test_a_thousand_are_answered_at_once(inventory: Inventory) -> None:
    await inventory.create("A", 1)

    answer = await get(inventory, "A", *(f"S{index}" for index in range(999)))

    assert (len(answer.stocks), len(answer.missing_skus)) == (1, 999)


async def test_codes_of_stocks_that_have_no_room_are_named(inventory: Inventory) -> None:
    skus = [f"S{number:03}" for number in range(300)]
    async with inventory.engine.begin() as connection:
        await connection.execute(text(LARGE_STOCKS), {"note": "€" * 5000, "skus": skus})

    answer = await get(inventory, *skus, "NO")
    rest = await get(inventory, *answer.unread_skus)

    assert 100 < len(answer.stocks) < 300
    assert list(answer.missing_skus) == ["NO"]
    assert [stock.sku for stock in (*answer.stocks, *rest.stocks)] == skus
    assert not rest.unread_skus
    assert await listed(inventory) == skus


async def listed(inventory: Inventory) -> list[str]:
    """The skus of all stocks, by pages that are asked to be as large as they can be."""
    found: list[str] = []
    request = pb.ListStocksRequest(page_size=1000, order_by=pb.STOCK_ORDER_SKU)
    while True:
        page = await inventory.stub.ListStocks(request, timeout=10)
        found.extend(stock.sku for stock in page.stocks)
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


@pytest.mark.parametrize("count", [0, 1001])
async def test_from_one_to_a_thousand_can_be_asked_for(inventory: Inventory, count: int) -> None:
    refusal = await refused(get(inventory, *["A"] * count))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert [field for field, _ in refusal.violations] == ["skus"]


async def test_codes_beyond_the_most_are_not_looked_at(inventory: Inventory) -> None:
    refusal = await refused(get(inventory, *["A"] * 1000, *[""] * 1000))

    assert refusal.violations == [("skus", "must have at most 1000 entries, has 2000")]


async def test_every_code_that_can_be_none_is_named(inventory: Inventory) -> None:
    refusal = await refused(get(inventory, "", "A", "a b"))

    assert [field for field, _ in refusal.violations] == ["skus[0]", "skus[2]"]


async def test_units_that_one_reservation_holds_are_seen_together(inventory: Inventory) -> None:
    await inventory.create("A", 100)
    await inventory.create("B", 100)
    done = asyncio.Event()

    async def reserve() -> None:
        for index in range(40):
            await inventory.reserve(f"r{index}", {"A": 1, "B": 1})
        done.set()

    async def watch() -> None:
        while not done.is_set():
            first, second = (await get(inventory, "B", "A")).stocks
            assert first.reserved_quantity == second.reserved_quantity

    await asyncio.gather(watch(), watch(), reserve())
