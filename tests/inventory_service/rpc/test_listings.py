"""AddListing, UpdateListing and EndListing."""

import json
from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from holdfast.inventory.v1 import stock_pb2 as pb
from sqlalchemy import text

from tests.inventory_service.client import SHOP, Inventory, refused


def offer(listing_id: str = "L1", **fields: Any) -> pb.Listing:
    given: dict[str, Any] = {"platform": pb.PLATFORM_EBAY} | fields
    return pb.Listing(listing_id=listing_id, **given)


async def add(inventory: Inventory, listing: pb.Listing, **fields: Any) -> pb.Stock:
    given: dict[str, Any] = {"sku": "A"} | fields
    request = pb.AddListingRequest(listing=listing, **given)
    return (await inventory.stub.AddListing(request, metadata=SHOP, timeout=10)).stock


async def update(inventory: Inventory, listing: pb.Listing, *paths: str, **fields: Any) -> pb.Stock:
    given: dict[str, Any] = {"sku": "A"} | fields
    request = pb.UpdateListingRequest(listing=listing, update_mask=FieldMask(paths=paths), **given)
    return (await inventory.stub.UpdateListing(request, metadata=SHOP, timeout=10)).stock


async def end(inventory: Inventory, listing_id: str = "L1", **fields: Any) -> pb.Stock:
    given: dict[str, Any] = {"sku": "A", "platform": pb.PLATFORM_EBAY} | fields
    request = pb.EndListingRequest(listing_id=listing_id, **given)
    return (await inventory.stub.EndListing(request, metadata=SHOP, timeout=10)).stock


async def test_an_offer_is_open_from_when_it_is_noted(inventory: Inventory) -> None:
    made = await inventory.create("A", 5)

    stock = await add(inventory, offer(ask_price="199.90", currency="EUR", metadata={"box": "yes"}))

    (listing,) = stock.listings
    assert (listing.platform, listing.listing_id, listing.status) == (
        pb.PLATFORM_EBAY,
        "L1",
        pb.LISTING_STATUS_ACTIVE,
    )
    assert (listing.ask_price, listing.currency, dict(listing.metadata)) == ("199.90", "EUR", {"box": "yes"})
    assert listing.list_time == stock.update_time
    assert not listing.HasField("end_time")
    assert stock.etag != made.etag
    listed = await inventory.stub.ListStocks(pb.ListStocksRequest(platform=pb.PLATFORM_EBAY))
    assert list(listed.stocks) == [stock]


async def test_a_platform_and_id_are_noted_once_even_after_the_end(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await add(inventory, offer())
    await add(inventory, offer(platform=pb.PLATFORM_GOAT))
    await end(inventory)
    before = await inventory.everything()

    refusal = await refused(add(inventory, offer(ask_price="1", currency="EUR")))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "LISTING_EXISTS")
    assert refusal.metadata == {"listing_id": "L1", "platform": "EBAY", "sku": "A"}
    assert refusal.resource == ("listing", "L1")
    assert await inventory.everything() == before


async def test_the_fields_of_the_mask_are_taken_and_other_offers_left_alone(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await add(inventory, offer("L1", ask_price="1.00", currency="EUR", metadata={"a": "1"}))
    before = await add(inventory, offer("L2", ask_price="2.00", currency="EUR"))

    stock = await update(
        inventory, offer("L1", ask_price="3.00", metadata={"b": "2"}, currency="USD"), "ask_price", "metadata"
    )

    changed = stock.listings[0]
    assert (changed.ask_price, changed.currency, dict(changed.metadata)) == ("3.00", "EUR", {"b": "2"})
    assert changed.list_time == before.listings[0].list_time
    assert stock.listings[1] == before.listings[1]


async def test_a_price_is_cleared_with_its_currency(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await add(inventory, offer(ask_price="1.00", currency="EUR"))

    stock = await update(inventory, offer(), "ask_price")

    assert (stock.listings[0].ask_price, stock.listings[0].currency) == ("", "")


async def test_neither_a_price_nor_a_currency_is_left_alone(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await add(inventory, offer("bare"))
    await add(inventory, offer("priced", ask_price="1.00", currency="EUR"))
    before = await inventory.everything()

    for call in (
        update(inventory, offer("bare", ask_price="2.00"), "ask_price"),
        update(inventory, offer("bare", currency="EUR"), "currency"),
        update(inventory, offer("priced"), "currency"),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "LISTING_PRICE_INCOMPLETE",
        )
    assert await inventory.everything() == before
    both = await update(inventory, offer("bare", ask_price="2.00", currency="EUR"), "ask_price", "currency")
    assert (both.listings[0].ask_price, both.listings[0].currency) == ("2.00", "EUR")


async def test_a_stock_has_at_most_a_hundred_open_offers_and_shows_the_last_hundred_that_ended(
    inventory: Inventory,
) -> None:
    await inventory.create("A", 5)
    past = [{"platform": "goat", "listing_id": f"old{number}", "status": "ended"} for number in range(150)]
    opened = [{"platform": "goat", "listing_id": f"L{number}", "status": "active"} for number in range(99)]
    statement = text("UPDATE inventory.stock SET listed_on_platforms = CAST(:listings AS jsonb)")
    async with inventory.engine.begin() as connection:
        await connection.execute(statement, {"listings": json.dumps([opened[0], *past, *opened[1:]])})
    stock = await add(inventory, offer("hundredth"))
    before = await inventory.everything()

    refusal = await refused(add(inventory, offer("one more")))

    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "LISTING_LIMIT_EXCEEDED",
    )
    assert refusal.metadata == {"sku": "A", "limit": "100"}
    assert await inventory.everything() == before
    shown = [listing.listing_id for listing in stock.listings]
    assert shown == [
        "L0",
        *(f"old{number}" for number in range(50, 150)),
        *(f"L{number}" for number in range(1, 99)),
        "hundredth",
    ]
    assert (
        await refused(add(inventory, offer("old3", platform=pb.PLATFORM_GOAT)))
    ).reason == "LISTING_EXISTS"
    await end(inventory, "hundredth")
    await add(inventory, offer("one more"))


async def test_metadata_beyond_the_most_are_not_looked_at(inventory: Inventory) -> None:
    many = {f"{number:065}": "x" for number in range(80)}

    refusal = await refused(add(inventory, offer(metadata=many)))

    assert len([field for field, _ in refusal.violations if field == "listing.metadata.key"]) == 50


async def test_metadata_are_small(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    large = {f"k{number}": "ü" * 205 for number in range(10)}

    refusal = await refused(add(inventory, offer(metadata=large)))

    assert refusal.violations == [("listing.metadata", "must have at most 4096 bytes, has 4120")]


async def test_an_ended_offer_is_changed_no_more_and_ended_once(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    await add(inventory, offer())
    ended = await end(inventory)
    before = await inventory.everything()

    assert ended.listings[0].status == pb.LISTING_STATUS_ENDED
    assert ended.listings[0].end_time == ended.update_time
    assert await end(inventory) == ended
    refusal = await refused(update(inventory, offer(ask_price="1"), "ask_price"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "LISTING_NOT_FOUND")
    assert await inventory.everything() == before


async def test_an_unknown_offer_is_not_found(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    before = await inventory.everything()

    refusal = await refused(end(inventory, "NO"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "LISTING_NOT_FOUND")
    assert refusal.metadata == {"listing_id": "NO", "platform": "EBAY", "sku": "A"}
    assert await inventory.everything() == before
    for call in (add(inventory, offer(), sku="NO"), end(inventory, sku="NO")):
        assert (await refused(call)).reason == "STOCK_NOT_FOUND"


async def test_an_offer_of_an_older_system_keeps_what_only_that_one_knows(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    old = '[{"platform": "ebay", "listing_id": 7, "status": "active", "bid": {"n": 1}}, "odd"]'
    statement = text("UPDATE inventory.stock SET listed_on_platforms = CAST(:old AS jsonb)")
    async with inventory.engine.begin() as connection:
        await connection.execute(statement, {"old": old})

    await end(inventory, "7")

    query = text("SELECT listed_on_platforms FROM inventory.stock")
    async with inventory.engine.connect() as connection:
        first, odd = (await connection.execute(query)).scalar_one()
    assert (first["status"], first["bid"], odd) == ("ended", {"n": 1}, "odd")


async def test_a_stale_etag_is_refused(inventory: Inventory) -> None:
    made = await inventory.create("A", 5)
    await add(inventory, offer(), etag=made.etag)
    before = await inventory.everything()

    for call in (
        add(inventory, offer("L2"), etag=made.etag),
        update(inventory, offer(), "metadata", etag=made.etag),
        end(inventory, etag=made.etag),
    ):
        assert (await refused(call)).reason == "ETAG_MISMATCH"
    assert await inventory.everything() == before


async def test_a_repeat_is_answered_as_the_first_call_was(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    first = await add(inventory, offer(), request_id="q1")
    await end(inventory, request_id="q1")

    assert await add(inventory, offer(), request_id="q1") == first


async def test_every_violation_is_named_at_once(inventory: Inventory) -> None:
    bad = offer(
        "",
        platform=pb.PLATFORM_UNSPECIFIED,
        status=pb.LISTING_STATUS_ENDED,
        ask_price="1.999",
        currency="euro",
        metadata={"": "x"},
    )

    added = await refused(add(inventory, bad, sku="", etag="?", request_id="ü"))
    updated = await refused(update(inventory, bad, "status", sku="", etag="?", request_id="ü"))

    shared = {
        "sku",
        "listing.platform",
        "listing.listing_id",
        "listing.ask_price",
        "listing.currency",
        "listing.metadata.key",
        "etag",
        "request_id",
    }
    assert {field for field, _ in added.violations} == shared | {"listing.status"}
    assert {field for field, _ in updated.violations} == shared | {"update_mask.paths[0]"}


async def test_a_price_has_a_currency_and_a_currency_a_price(inventory: Inventory) -> None:
    for listing in (offer(ask_price="1"), offer(currency="EUR")):
        refusal = await refused(add(inventory, listing))
        assert [field for field, _ in refusal.violations] == ["listing.currency"]
