"""CreateStock."""

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from holdfast.inventory.v1 import movement_pb2, stock_pb2

from tests.inventory_service.client import Inventory, refused

DETAILS = stock_pb2.StockDetails(
    product_id="123e4567-e89b-12d3-a456-426614174000",
    size_id="123e4567-e89b-12d3-a456-426614174001",
    supplier_id="123e4567-e89b-12d3-a456-426614174002",
    ean="4006381333931",
    purchase_price="79.90",
    gross_purchase_price="95.08",
    vat_amount="15.18",
    vat_rate="19.00",
    purchase_time=Timestamp(seconds=1_700_000_000),
    delivery_time=Timestamp(seconds=1_700_086_400, nanos=123_456_000),
    detailed_status="box dented",
    notes="two\nlines, and ünïcödé",
    location="A-12",
    external_ids={"stockx": "SX-1", "pim": "4711"},
)


async def test_a_stock_is_created_with_what_is_known_of_it(inventory: Inventory) -> None:
    made = await inventory.create("AJ1-42", 5, status=stock_pb2.STOCK_STATUS_PRESALE, details=DETAILS)

    assert (made.quantity, made.reserved_quantity, made.available_quantity) == (5, 0, 5)
    assert made.status == stock_pb2.STOCK_STATUS_PRESALE
    assert made.details == DETAILS
    assert made.etag
    assert made.create_time == made.update_time
    [first] = made.status_history
    assert (first.from_status, first.to_status) == (0, stock_pb2.STOCK_STATUS_PRESALE)
    assert first.change_time == made.create_time
    found = await inventory.stub.GetStock(stock_pb2.GetStockRequest(sku="AJ1-42"))
    assert found.stock == made


async def test_a_sku_and_a_quantity_are_enough(inventory: Inventory) -> None:
    made = await inventory.create("a.b_c:d/e-f", 1_000_000_000)

    assert made.status == stock_pb2.STOCK_STATUS_IN_STOCK
    assert made.details == stock_pb2.StockDetails()
    assert made.quantity == 1_000_000_000


async def test_the_ledger_opens_with_the_first_units_and_not_without(inventory: Inventory) -> None:
    await inventory.create("FULL", 5)
    await inventory.create("EMPTY")

    ledger = await inventory.stub.ListMovements(movement_pb2.ListMovementsRequest())

    [opening] = ledger.movements
    assert (opening.sku, opening.delta) == ("FULL", 5)
    assert opening.reason == movement_pb2.MOVEMENT_REASON_OPENING
    assert opening.actor == "merchant:7"


async def test_a_sku_is_taken_once(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    before = await inventory.everything()

    refusal = await refused(inventory.create("A", 6))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "STOCK_EXISTS")
    assert refusal.metadata == {"sku": "A"}
    assert refusal.resource == ("stock", "A")
    assert await inventory.everything() == before


async def test_every_violation_is_named_at_once(inventory: Inventory) -> None:
    before = await inventory.everything()
    details = stock_pb2.StockDetails(
        product_id="no uuid",
        ean="12",
        purchase_price="1e3",
        vat_rate="1000.00",
        purchase_time=Timestamp(seconds=10**12),
        location="x" * 51,
        notes="a\x00b",
        external_ids={"": "x", "k": "y" * 257},
    )
    request = stock_pb2.CreateStockRequest(
        sku="a b", quantity=-1, status=stock_pb2.STOCK_STATUS_SOLD, details=details, request_id="ü"
    )

    refusal = await refused(inventory.stub.CreateStock(request))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert {field for field, _ in refusal.violations} == {
        "sku",
        "quantity",
        "status",
        "request_id",
        "details.product_id",
        "details.ean",
        "details.purchase_price",
        "details.vat_rate",
        "details.purchase_time",
        "details.location",
        "details.notes",
        "details.external_ids.key",
        "details.external_ids['k']",
    }
    assert await inventory.everything() == before


@pytest.mark.parametrize("sku", ["", "x" * 65, "ä", "a b", "a\n"])
async def test_a_sku_has_a_form(inventory: Inventory, sku: str) -> None:
    refusal = await refused(inventory.create(sku))

    assert [field for field, _ in refusal.violations] == ["sku"]


async def test_more_than_a_line_may_have_is_refused_with_the_limit(inventory: Inventory) -> None:
    refusal = await refused(inventory.create("A", 1_000_000_001))

    assert refusal.violations == [("quantity", "must be from 0 to 1000000000")]
