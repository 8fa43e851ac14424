"""Let items name their stock by sku.

Why: inventory knows stock by its sku; the legacy numbers become optional.
Previous release: it goes on. It does not write sku, and its rows are read by the decimal text of sku_id.
Locks: the column is added in an instant; columns are made nullable and indexes built online.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

SKU = "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL"
OPTIONAL = {
    "tigu_prepare_goods_item": ("order_item_id", "product_id", "sku_id"),
    "tigu_order_item": ("product_id", "sku_id"),
}
INDEXES = {
    "tigu_prepare_goods_item": ("idx_prepare_goods_item_order_item", "order_item_id"),
    "tigu_order_item": ("idx_order_item_order", "order_id"),
}


def upgrade() -> None:
    """For each table: the column, the loosened columns, the index."""
    for table, optional in OPTIONAL.items():
        if "sku" not in _columns(table):
            op.execute(sa.text(f"ALTER TABLE {table} ADD COLUMN sku {SKU}, ALGORITHM=INSTANT"))
        strict = [name for name in optional if not _columns(table)[name]["nullable"]]
        if strict:
            # The type is repeated as found: a signed legacy column stays signed.
            changes = ", ".join(f"MODIFY COLUMN {name} {_type(table, name)} NULL" for name in strict)
            op.execute(sa.text(f"ALTER TABLE {table} {changes}, ALGORITHM=INPLACE, LOCK=NONE"))
    for table, (name, column) in INDEXES.items():
        if not _has_index_on(table, column):
            op.execute(
                sa.text(f"ALTER TABLE {table} ADD INDEX {name} ({column}), ALGORITHM=INPLACE, LOCK=NONE")
            )


def downgrade() -> None:
    """Drops `sku` and the indexes added here. The loosened columns stay: rows without the numbers may exist."""
    for table, (name, _) in INDEXES.items():
        if name in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
            op.execute(sa.text(f"ALTER TABLE {table} DROP INDEX {name}, ALGORITHM=INPLACE, LOCK=NONE"))
    for table in OPTIONAL:
        if "sku" in _columns(table):
            op.execute(sa.text(f"ALTER TABLE {table} DROP COLUMN sku, ALGORITHM=INPLACE, LOCK=NONE"))


def _columns(table: str) -> dict[str, sa.engine.interfaces.ReflectedColumn]:
    return {column["name"]: column for column in sa.inspect(op.get_bind()).get_columns(table)}


def _type(table: str, column: str) -> str:
    statement = sa.text(
        "SELECT column_type FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = :table AND column_name = :column"
    )
    kind: str | bytes = op.get_bind().execute(statement, {"table": table, "column": column}).scalar_one()
    return kind.decode() if isinstance(kind, bytes) else kind


def _has_index_on(table: str, column: str) -> bool:
    indexes = sa.inspect(op.get_bind()).get_indexes(table)
    return any(index["column_names"][0] == column for index in indexes)
