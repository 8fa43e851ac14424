"""Let items name their stock by sku.

Why: inventory knows stock by its sku; the legacy numbers become optional.
Previous release: it goes on. It does not write sku, and its rows are read by the decimal text of sku_id.
Locks: the column is added in an instant; columns are made nullable and indexes built online.
"""

from pathlib import Path
from typing import Any

from alembic.util import load_python_file

revision = "0004"
down_revision = "0003"

changes: Any = load_python_file(Path(__file__).parents[1], "changes.py")

SKU = "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL"
OPTIONAL = {
    "tigu_prepare_goods_item": ("order_item_id", "product_id", "sku_id"),
    "tigu_order_item": ("product_id", "sku_id"),
}
INDEXES = {
    "tigu_prepare_goods_item": changes.Index("idx_prepare_goods_item_order_item", ("order_item_id",)),
    "tigu_order_item": changes.Index("idx_order_item_order", ("order_id",)),
}


def upgrade() -> None:
    """For each table: the column, the loosened columns, the index."""
    for table, optional in OPTIONAL.items():
        changes.add_columns(table, {"sku": SKU})
        changes.make_nullable(table, optional)
    for table, index in INDEXES.items():
        changes.add_index_unless_led(table, index)


def downgrade() -> None:
    """Drops `sku` and the indexes added here. The loosened columns stay: rows without the numbers may exist."""
    for table, index in INDEXES.items():
        changes.drop_index(table, index)
    for table in OPTIONAL:
        changes.drop_columns(table, ["sku"])
