"""Thresholds and low stocks in short words."""

from typing import Any

from holdfast.inventory.v1 import reports_pb2 as pb
from sqlalchemy import text

from tests.inventory_service.client import SHOP, Inventory

WRITTEN = text("UPDATE inventory.stock SET quantity = :quantity")


async def set_threshold(
    inventory: Inventory, sku: str = "", threshold: int | None = None, **fields: Any
) -> pb.SetStockThresholdResponse:
    """SetStockThreshold."""
    request = pb.SetStockThresholdRequest(sku=sku, threshold=threshold, **fields)
    return await inventory.stub.SetStockThreshold(request, metadata=SHOP, timeout=10)


async def listed(inventory: Inventory, **fields: Any) -> pb.ListLowStockResponse:
    """ListLowStock."""
    return await inventory.stub.ListLowStock(pb.ListLowStockRequest(**fields), timeout=10)


async def low(inventory: Inventory) -> dict[str, tuple[int, int]]:
    """(available, threshold) of each low stock, by sku, the longest first."""
    answer = await listed(inventory)
    assert answer.next_page_token == ""
    return {found.sku: (found.available_quantity, found.threshold) for found in answer.low_stocks}


async def write(inventory: Inventory, quantity: int) -> None:
    """Changes the stocks past the service and its ledger."""
    async with inventory.engine.begin() as connection:
        await connection.execute(WRITTEN, {"quantity": quantity})
