"""UpdateStock."""

from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from holdfast.inventory.v1 import stock_pb2 as pb
from sqlalchemy import text

from tests.inventory_service.client import SHOP, Inventory, refused


async def update(inventory: Inventory, *paths: str, details: pb.StockDetails, **fields: Any) -> pb.Stock:
    given: dict[str, Any] = {"sku": "A"} | fields
    request = pb.UpdateStockRequest(details=details, update_mask=FieldMask(paths=paths), **given)
    return (await inventory.stub.UpdateStock(request, metadata=SHOP, timeout=10)).stock


FULL = pb.StockDetails(
    product_id="123e4567-e89b-12d3-a456-426614174000",
    size_id="123e4567-e89b-12d3-a456-426614174001",
    supplier_id="123e4567-e89b-12d3-a456-426614174002",
    ean="4006381333931",
    purchase_price="10.00",
    gross_purchase_price="11.90",
    vat_amount="1.90",
    vat_rate="19.00",
    purchase_time=Timestamp(seconds=1_700_000_000),
    delivery_time=Timestamp(seconds=1_700_100_000),
    detailed_status="boxed",
    notes="handle with care",
    location="R3-B1",
    external_ids={"erp": "77"},
)


async def test_the_fields_of_the_mask_are_taken_and_no_others(inventory: Inventory) -> None:
    made = await inventory.create("A", 5, details=pb.StockDetails(notes="old", location="R1", ean="12345678"))

    changed = await update(inventory, "notes", "location", details=pb.StockDetails(notes="new", vat_rate="7"))

    assert changed.details == pb.StockDetails(notes="new", ean="12345678")
    assert (changed.quantity, changed.status) == (5, made.status)
    assert changed.etag not in ("", made.etag)
    assert changed.update_time.ToNanoseconds() > made.update_time.ToNanoseconds()


async def test_every_field_of_the_details_can_be_set_and_cleared(inventory: Inventory) -> None:
    await inventory.create("A")
    paths = [field.name for field in pb.StockDetails.DESCRIPTOR.fields]

    filled = await update(inventory, *paths, details=FULL)
    cleared = await update(inventory, *paths, details=pb.StockDetails())

    assert filled.details == FULL
    assert cleared.details == pb.StockDetails()


async def test_what_is_not_known_is_stored_as_nothing(inventory: Inventory) -> None:
    await inventory.create("BARE")
    await inventory.create("A", details=pb.StockDetails(external_ids={"erp": "77"}))
    await update(inventory, "external_ids", details=pb.StockDetails())

    async with inventory.engine.connect() as connection:
        stored = await connection.execute(text("SELECT num_nulls(external_ids, notes) FROM inventory.stock"))
        assert list(stored.scalars()) == [2, 2]


async def test_a_stale_etag_is_refused(inventory: Inventory) -> None:
    made = await inventory.create("A", 5)
    await inventory.adjust("A", 1, "q1")
    before = await inventory.everything()

    refusal = await refused(update(inventory, "notes", details=pb.StockDetails(notes="new"), etag=made.etag))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert await inventory.everything() == before


async def test_an_unknown_sku_is_not_found(inventory: Inventory) -> None:
    refusal = await refused(update(inventory, "notes", details=pb.StockDetails(notes="new"), sku="NO"))

    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "STOCK_NOT_FOUND")


async def test_a_repeat_is_answered_as_the_first_call_was(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    first = await update(inventory, "notes", details=pb.StockDetails(notes="1"), request_id="q1")
    await update(inventory, "notes", details=pb.StockDetails(notes="2"), request_id="q2")

    again = await update(inventory, "notes", details=pb.StockDetails(notes="1"), request_id="q1")

    assert again == first
    now = await inventory.stub.GetStock(pb.GetStockRequest(sku="A"))
    assert now.stock.details.notes == "2"


async def test_a_mask_is_required(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    before = await inventory.everything()

    refusal = await refused(update(inventory, details=pb.StockDetails(notes="new")))

    assert [field for field, _ in refusal.violations] == ["update_mask.paths"]
    assert await inventory.everything() == before


async def test_paths_beyond_as_many_as_there_are_are_not_looked_at(inventory: Inventory) -> None:
    known = [field.name for field in pb.StockDetails.DESCRIPTOR.fields]

    refusal = await refused(update(inventory, *known, *["no"] * 5, details=FULL))

    assert refusal.violations == [
        ("update_mask.paths", f"must have at most {len(known)} entries, has {len(known) + 5}")
    ]


async def test_every_violation_is_named_at_once(inventory: Inventory) -> None:
    await inventory.create("A", 5)
    bad = pb.StockDetails(ean="x", purchase_price="1.999")

    refusal = await refused(update(inventory, "ean", "quantity", "details.notes", details=bad, etag="?"))

    assert sorted(field for field, _ in refusal.violations) == [
        "details.ean",
        "details.purchase_price",
        "etag",
        "update_mask.paths[1]",
        "update_mask.paths[2]",
    ]
