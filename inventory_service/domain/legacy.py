"""The tables that the consolidation took over, by the names that the legacy system gave them."""

MONEY = (
    "purchase_price",
    "gross_purchase_price",
    "vat_amount",
    "vat_rate",
    "profit_per_shelf_day",
    "roi_percentage",
)
"""Columns of both stock and stock_financial."""

SPLIT_TABLES = ("stock_financial", "stock_lifecycle", "stock_metrics")
BACKUPS = tuple(f"{table}_backup" for table in SPLIT_TABLES)

AFTER_PHASE_2 = "is from after Phase 2"
"""What the journal of an adoption says of a database whose stocks had taken over what the split tables said."""
