"""Stocks as the old application left them, any number of them, made by the database itself in seconds."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

# Every number is derived from the row's own, so that two runs measure the same rows.
_STOCK = """
INSERT INTO inventory.stock (id, product_id, size_id, quantity, purchase_price, gross_purchase_price, vat_rate,
    status, roi_percentage, location, created_at, updated_at)
SELECT md5('stock' || n)::uuid, md5('product' || n % 5000)::uuid, md5('size' || n % 40)::uuid, n % 20 + 1,
    n % 900 + 10, CASE WHEN n % 3 > 0 THEN (n % 900 + 10) * 1.19 END, 19,
    (ARRAY['in_stock', 'in_stock', 'in_stock', 'in_stock', 'sold', 'presale', 'listed_stockx', 'reserved'])[n % 8 + 1],
    n % 60 - 10, 'A' || n % 500, now() - n * interval '10 seconds', now() - n * interval '5 seconds'
FROM generate_series(1, :size) n
"""
_FINANCIAL = """
INSERT INTO inventory.stock_financial (stock_id, purchase_price, gross_purchase_price, vat_rate, roi_percentage)
SELECT id, purchase_price, COALESCE(gross_purchase_price, purchase_price * 1.19), vat_rate, roi_percentage
FROM inventory.stock
"""
# Every second stock is listed: on eBay mostly, one in 500 on GOAT.
_LIFECYCLE = """
INSERT INTO inventory.stock_lifecycle (stock_id, listed_on_platforms, status_history)
SELECT md5('stock' || n)::uuid,
    CASE WHEN n % 2 = 0 THEN jsonb_build_array(jsonb_build_object(
        'platform', CASE WHEN n % 500 = 0 THEN 'goat' ELSE 'ebay' END, 'listing_id', 'L' || n,
        'listed_at', '2025-06-01T12:00:00+00:00', 'status', 'active')) END,
    jsonb_build_array(jsonb_build_object('from_status', NULL, 'to_status', 'in_stock',
        'changed_at', '2025-05-01T12:00:00+00:00', 'reason', 'received'))
FROM generate_series(1, :size) n
"""
_METRICS = """
INSERT INTO inventory.stock_metrics (stock_id, available_quantity, reserved_quantity, total_cost, expected_profit)
SELECT id, quantity - held, held, gross_purchase_price, gross_purchase_price * roi_percentage / 100
FROM (SELECT *, CASE WHEN status = 'reserved' THEN 1 ELSE 0 END AS held FROM inventory.stock) s
"""


async def add_legacy_stocks(engine: AsyncEngine, size: int) -> None:
    """Fills a database at revision 0001: `size` stocks, each with its rows in the split tables."""
    async with engine.begin() as connection:
        for statement in (_STOCK, _FINANCIAL, _LIFECYCLE, _METRICS):
            await connection.execute(text(statement), {"size": size} if ":size" in statement else {})
        for table in ("stock_financial", "stock_lifecycle", "stock_metrics"):
            await connection.execute(text(f"CREATE INDEX ON inventory.{table} (stock_id)"))
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))
