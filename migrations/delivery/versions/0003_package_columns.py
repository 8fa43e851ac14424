"""Give packages a version, the state of their stock and the time of every step.

Why: changes are refused when they come too late, and what inventory holds for a package is known beside it.
Previous release: its INSERTs go on, as each new column is nullable or has a default; a package that it makes
keeps no hold (stock_state 0).
Locks: columns are added in an instant, indexes are built online. There is no CHECK: on a table that exists it
would copy the table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TABLE = "tigu_prepare_goods"
COLUMNS = {
    "version": "BIGINT UNSIGNED NOT NULL DEFAULT 1",
    "stock_state": "TINYINT NOT NULL DEFAULT 0",
    "attempt": "INT NOT NULL DEFAULT 0",
    "reservation_id": "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL",
    "rejection_reason": "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL",
    "shortages": "TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL",
    "content_digest": "CHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL",
    "prepare_time": "DATETIME(6) NULL",
    "claim_time": "DATETIME(6) NULL",
    "pick_up_time": "DATETIME(6) NULL",
    "arrive_time": "DATETIME(6) NULL",
    "receive_time": "DATETIME(6) NULL",
    "ship_time": "DATETIME(6) NULL",
    "deliver_time": "DATETIME(6) NULL",
    "complete_time": "DATETIME(6) NULL",
    "cancel_time": "DATETIME(6) NULL",
}
INDEXES = {
    "uq_prepare_goods_reservation": "UNIQUE INDEX uq_prepare_goods_reservation (reservation_id)",
    "idx_prepare_goods_shop": "INDEX idx_prepare_goods_shop (shop_id)",
    "idx_prepare_goods_driver": "INDEX idx_prepare_goods_driver (driver_id)",
    "idx_prepare_goods_warehouse": "INDEX idx_prepare_goods_warehouse (warehouse_id)",
    "idx_prepare_goods_status": "INDEX idx_prepare_goods_status (prepare_status)",
    "idx_prepare_goods_stock": "INDEX idx_prepare_goods_stock (stock_state)",
}


def upgrade() -> None:
    """One statement for the missing columns, then one for each missing index."""
    there = _columns()
    missing = [f"ADD COLUMN {name} {kind}" for name, kind in COLUMNS.items() if name not in there]
    if missing:
        op.execute(sa.text(f"ALTER TABLE {TABLE} {', '.join(missing)}, ALGORITHM=INSTANT"))
    for name, definition in INDEXES.items():
        if name not in _indexes():
            op.execute(sa.text(f"ALTER TABLE {TABLE} ADD {definition}, ALGORITHM=INPLACE, LOCK=NONE"))


def downgrade() -> None:
    """Drops indexes and columns; what they said is lost."""
    for name in INDEXES:
        if name in _indexes():
            op.execute(sa.text(f"ALTER TABLE {TABLE} DROP INDEX {name}, ALGORITHM=INPLACE, LOCK=NONE"))
    there = _columns()
    dropped = [f"DROP COLUMN {name}" for name in COLUMNS if name in there]
    if dropped:
        op.execute(sa.text(f"ALTER TABLE {TABLE} {', '.join(dropped)}, ALGORITHM=INPLACE, LOCK=NONE"))


def _columns() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(TABLE)}


def _indexes() -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(TABLE)}
