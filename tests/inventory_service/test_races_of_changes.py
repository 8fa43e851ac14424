"""Many callers change what is known of one stock at once, on two servers that know nothing of each other."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from holdfast.inventory.v1 import movement_pb2
from holdfast.inventory.v1 import stock_pb2 as pb

from tests.inventory_service.client import SHOP, Inventory, outcome

Pair = tuple[Inventory, Inventory]


def count(inventory: Inventory, expected: int, quantity: int) -> Awaitable[Any]:
    request = movement_pb2.SetStockQuantityRequest(sku="A", quantity=quantity, expected_quantity=expected)
    return inventory.stub.SetStockQuantity(request, metadata=SHOP, timeout=10)


def batch(inventory: Inventory, number: int, *skus: str) -> Awaitable[Any]:
    adjustments = [
        movement_pb2.StockAdjustment(sku=sku, delta=1, reason=movement_pb2.MOVEMENT_REASON_FOUND)
        for sku in skus
    ]
    request = movement_pb2.BatchAdjustStocksRequest(adjustments=adjustments, request_id=f"b{number}")
    return inventory.stub.BatchAdjustStocks(request, metadata=SHOP, timeout=10)


def change(inventory: Inventory, status: Any) -> Awaitable[Any]:
    request = pb.ChangeStockStatusRequest(sku="A", status=status)
    return inventory.stub.ChangeStockStatus(request, metadata=SHOP, timeout=10)


def offer(inventory: Inventory, listing_id: str) -> Awaitable[Any]:
    listing = pb.Listing(platform=pb.PLATFORM_EBAY, listing_id=listing_id)
    return inventory.stub.AddListing(
        pb.AddListingRequest(sku="A", listing=listing), metadata=SHOP, timeout=10
    )


def end(inventory: Inventory, listing_id: str) -> Awaitable[Any]:
    request = pb.EndListingRequest(sku="A", platform=pb.PLATFORM_EBAY, listing_id=listing_id)
    return inventory.stub.EndListing(request, metadata=SHOP, timeout=10)


def delete(inventory: Inventory) -> Awaitable[Any]:
    return inventory.stub.DeleteStock(pb.DeleteStockRequest(sku="A"), metadata=SHOP, timeout=10)


async def stock(inventory: Inventory) -> pb.Stock:
    return (await inventory.stub.GetStock(pb.GetStockRequest(sku="A"))).stock


async def test_of_many_counts_of_the_same_books_one_is_taken(pair: Pair) -> None:
    await pair[0].create("A", 5)

    outcomes = await asyncio.gather(*(outcome(count(pair[i % 2], 5, 10 + i)) for i in range(20)))

    assert outcomes.count("OK") == 1
    assert (await stock(pair[0])).quantity == 10 + outcomes.index("OK")


async def test_batches_in_opposite_order_do_not_stand_in_each_others_way(pair: Pair) -> None:
    for sku in ("A", "B", "C"):
        await pair[0].create(sku)
    orders = [("A", "B", "C"), ("C", "B", "A"), ("B", "A", "C")]

    outcomes = await asyncio.gather(*(outcome(batch(pair[i % 2], i, *orders[i % 3])) for i in range(40)))

    assert outcomes == ["OK"] * 40
    assert [(await pair[0].levels(sku))[0] for sku in ("A", "B", "C")] == [40, 40, 40]


async def test_no_entry_of_a_stock_is_lost_to_another(pair: Pair) -> None:
    await pair[0].create("A", 5)
    await asyncio.gather(*(offer(pair[i % 2], f"old{i}") for i in range(10)))
    mask = FieldMask(paths=["notes"])
    notes = pb.UpdateStockRequest(sku="A", details=pb.StockDetails(notes="new"), update_mask=mask)

    await asyncio.gather(
        *(offer(pair[i % 2], f"new{i}") for i in range(10)),
        *(end(pair[i % 2], f"old{i}") for i in range(10)),
        *(outcome(change(pair[i % 2], pb.STOCK_STATUS_PRESALE)) for i in range(5)),
        *(outcome(change(pair[i % 2], pb.STOCK_STATUS_IN_STOCK)) for i in range(5)),
        *(pair[i % 2].adjust("A", 1, f"q{i}") for i in range(10)),
        pair[0].stub.UpdateStock(notes, metadata=SHOP, timeout=10),
    )

    found = await stock(pair[0])
    ended = Counter(listing.status == pb.LISTING_STATUS_ENDED for listing in found.listings)
    assert ended == {True: 10, False: 10}
    assert {listing.listing_id for listing in found.listings} == {
        f"{a}{i}" for a in ("old", "new") for i in range(10)
    }
    assert (found.quantity, found.details.notes) == (15, "new")
    for before, after in zip(found.status_history, found.status_history[1:], strict=False):
        assert after.from_status == before.to_status
    assert found.status_history[-1].to_status == found.status


async def test_one_offer_is_noted_once_by_many(pair: Pair) -> None:
    await pair[0].create("A", 5)

    outcomes = await asyncio.gather(*(outcome(offer(pair[i % 2], "L1")) for i in range(20)))

    assert outcomes.count("OK") == 1
    assert len((await stock(pair[0])).listings) == 1


async def test_a_stock_is_sold_as_a_whole_or_held_and_never_both(pair: Pair) -> None:
    sold = 0
    for round_ in range(12):
        await pair[0].create("A", 5, request_id=f"c{round_}")
        calls = [
            outcome(pair[0].reserve(f"r{round_}", {"A": 5})),
            outcome(change(pair[1], pb.STOCK_STATUS_SOLD)),
        ]

        held, ended = await asyncio.gather(*(calls if round_ % 2 else reversed(calls)))

        assert (held, ended).count("OK") == 1
        found = await stock(pair[0])
        assert (found.status == pb.STOCK_STATUS_SOLD) != (found.reserved_quantity == 5)
        sold += found.status == pb.STOCK_STATUS_SOLD
        await outcome(pair[0].release(f"r{round_}"))
        await pair[0].adjust("A", -5, f"q{round_}")
        await delete(pair[0])
    assert 0 <= sold <= 12


async def test_a_stock_that_is_removed_takes_no_units_with_it(pair: Pair) -> None:
    for round_ in range(12):
        await pair[0].create("A", request_id=f"c{round_}")
        calls = [outcome(delete(pair[0])), outcome(pair[1].adjust("A", 1, f"q{round_}"))]

        await asyncio.gather(*(calls if round_ % 2 else reversed(calls)))

        if await outcome(stock(pair[0])) == "OK":
            assert await pair[0].levels("A") == (1, 0, 1)
            await pair[0].adjust("A", -1, f"x{round_}")
            await delete(pair[0])
    everything = await pair[0].everything()
    assert everything["stock"] == []
    assert len(everything["removed_stock"]) == 12
