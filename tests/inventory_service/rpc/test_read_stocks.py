"""GetStock and ListStocks."""

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from holdfast.inventory.v1 import stock_pb2 as pb
from sqlalchemy import text

from tests.inventory_service.client import Inventory, refused


async def listed(inventory: Inventory, **fields: object) -> list[str]:
    """The skus of one page."""
    answer = await inventory.stub.ListStocks(pb.ListStocksRequest(**fields))  # type: ignore[arg-type]
    assert answer.next_page_token == ""
    return [stock.sku for stock in answer.stocks]


async def test_an_unknown_stock_is_not_found(inventory: Inventory) -> None:
    refusal = await refused(inventory.levels("NO"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "STOCK_NOT_FOUND")
    assert (await refused(inventory.levels(""))).violations[0][0] == "sku"


async def test_the_newest_come_first_unless_ordered_by_sku(inventory: Inventory) -> None:
    for sku in ("b", "C", "a"):
        await inventory.create(sku)

    assert await listed(inventory) == ["a", "C", "b"]
    assert await listed(inventory, order_by=pb.STOCK_ORDER_NEWEST_FIRST) == ["a", "C", "b"]
    assert await listed(inventory, order_by=pb.STOCK_ORDER_SKU) == ["C", "a", "b"]


async def test_filters_must_all_hold(inventory: Inventory) -> None:
    product = "123e4567-e89b-12d3-a456-426614174000"
    await inventory.create("AJ1-41", 3, details=pb.StockDetails(product_id=product))
    await inventory.create("AJ1-42", 9, details=pb.StockDetails(product_id=product))
    await inventory.create("AJ_42", 3, status=pb.STOCK_STATUS_PRESALE)
    await inventory.reserve("r1", {"AJ1-42": 7})

    assert await listed(inventory, sku_prefix="AJ1-") == ["AJ1-42", "AJ1-41"]
    assert await listed(inventory, sku_prefix="AJ_") == ["AJ_42"]
    assert await listed(inventory, product_id=product.upper()) == ["AJ1-42", "AJ1-41"]
    assert await listed(inventory, status=pb.STOCK_STATUS_PRESALE) == ["AJ_42"]
    assert await listed(inventory, available_at_most=2) == ["AJ1-42"]
    assert await listed(inventory, available_at_most=0) == []
    assert await listed(inventory, sku_prefix="AJ1-", available_at_most=3) == ["AJ1-42", "AJ1-41"]


async def test_stocks_are_found_by_what_changed_since(inventory: Inventory) -> None:
    await inventory.create("A")
    made = await inventory.create("B")
    later = Timestamp(seconds=made.update_time.seconds, nanos=made.update_time.nanos)
    assert await listed(inventory, updated_since=later) == ["B"]

    await inventory.adjust("A", 1, "q1")

    assert await listed(inventory, updated_since=later) == ["B", "A"]


async def test_stocks_are_found_by_an_active_listing(inventory: Inventory) -> None:
    for sku in ("A", "B", "C"):
        await inventory.create(sku)
    entry = '[{"platform": "ebay", "listing_id": "L1", "status": "%s", "listed_at": "2026-01-02T03:04:05Z"}]'
    update = text("UPDATE inventory.stock SET listed_on_platforms = CAST(:entry AS jsonb) WHERE sku = :sku")
    async with inventory.engine.begin() as connection:
        await connection.execute(update, {"sku": "A", "entry": entry % "active"})
        await connection.execute(update, {"sku": "B", "entry": entry % "ended"})

    assert await listed(inventory, platform=pb.PLATFORM_EBAY) == ["A"]
    assert await listed(inventory, platform=pb.PLATFORM_GOAT) == []
    [listing] = (await inventory.stub.GetStock(pb.GetStockRequest(sku="A"))).stock.listings
    assert (listing.platform, listing.listing_id) == (pb.PLATFORM_EBAY, "L1")
    assert listing.status == pb.LISTING_STATUS_ACTIVE
    assert listing.list_time.seconds == 1_767_323_045


async def test_documents_of_older_writers_do_not_break_reading(inventory: Inventory) -> None:
    await inventory.create("A")
    update = text(
        "UPDATE inventory.stock SET listed_on_platforms = CAST(:listings AS jsonb),"
        " status_history = CAST(:history AS jsonb), external_ids = CAST(:ids AS jsonb)"
    )
    documents = {
        "listings": '[7, {"platform": "vinted"}, {"platform": "goat", "listing_id": 12, "status": null}]',
        "history": '{"not": "a list"}',
        "ids": '{"n": 5, "nested": {"a": [1]}, "none": null}',
    }
    async with inventory.engine.begin() as connection:
        await connection.execute(update, documents)

    stock = (await inventory.stub.GetStock(pb.GetStockRequest(sku="A"))).stock

    assert [(entry.platform, entry.listing_id) for entry in stock.listings] == [(pb.PLATFORM_GOAT, "12")]
    assert list(stock.status_history) == []
    assert dict(stock.details.external_ids) == {"n": "5", "nested": '{"a": [1]}'}


@pytest.mark.parametrize("order", [pb.STOCK_ORDER_UNSPECIFIED, pb.STOCK_ORDER_SKU])
async def test_pages_show_each_row_once_while_rows_come(
    inventory: Inventory, order: pb.StockOrder.ValueType
) -> None:
    there = {f"S{index:02}" for index in range(25)}
    for sku in sorted(there):
        await inventory.create(sku)
    seen: list[str] = []
    token, pages = "", 0

    while pages == 0 or token:
        request = pb.ListStocksRequest(sku_prefix="S", page_size=4, page_token=token, order_by=order)
        answer = await inventory.stub.ListStocks(request)
        seen += [stock.sku for stock in answer.stocks]
        token, pages = answer.next_page_token, pages + 1
        await inventory.create(f"S{pages:02}-new")
        assert pages < 30

    assert len(seen) == len(set(seen))
    assert there <= set(seen)
    assert pages >= 7


async def test_page_sizes_have_a_default_and_a_cap(inventory: Inventory) -> None:
    statement = text(
        "INSERT INTO inventory.stock (sku, quantity) SELECT 'S' || n, 0 FROM generate_series(1, 1005) n"
    )
    async with inventory.engine.begin() as connection:
        await connection.execute(statement)

    default = await inventory.stub.ListStocks(pb.ListStocksRequest())
    capped = await inventory.stub.ListStocks(pb.ListStocksRequest(page_size=5000))

    assert len(default.stocks) == 50
    assert len(capped.stocks) == 1000
    assert capped.next_page_token


async def test_a_token_is_bound_to_its_arguments(inventory: Inventory) -> None:
    for sku in ("A", "B", "C"):
        await inventory.create(sku)
    page = await inventory.stub.ListStocks(pb.ListStocksRequest(page_size=1))
    token = page.next_page_token

    other = pb.ListStocksRequest(page_size=1, page_token=token, order_by=pb.STOCK_ORDER_SKU)
    for request in (other, pb.ListStocksRequest(page_token="x"), pb.ListStocksRequest(page_token=token[:-3])):
        refusal = await refused(inventory.stub.ListStocks(request))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_MISMATCH")
    resized = await inventory.stub.ListStocks(pb.ListStocksRequest(page_size=2, page_token=token))
    assert [stock.sku for stock in resized.stocks] == ["B", "A"]


async def test_every_violation_is_named_at_once(inventory: Inventory) -> None:
    request = pb.ListStocksRequest(
        sku_prefix="x" * 65,
        product_id="?",
        status=99,  # type: ignore[arg-type]
        platform=99,  # type: ignore[arg-type]
        available_at_most=-1,
        updated_since=Timestamp(seconds=-(10**12)),
        order_by=99,  # type: ignore[arg-type]
        page_size=-1,
    )

    refusal = await refused(inventory.stub.ListStocks(request))

    assert {field for field, _ in refusal.violations} == {
        "sku_prefix",
        "product_id",
        "status",
        "platform",
        "available_at_most",
        "updated_since",
        "order_by",
        "page_size",
    }
