"""Give packages a version, the state of their stock and the time of every step.

Why: changes are refused when they come too late, and what inventory holds for a package is known beside it.
Previous release: its INSERTs go on, as each new column is nullable or has a default; a package that it makes
keeps no hold (stock_state 0).
Locks: columns are added in an instant, indexes are built online. There is no CHECK: on a table that exists it
would copy the table.
"""

from pathlib import Path
from typing import Any

from alembic.util import load_python_file

revision = "0003"
down_revision = "0002"

changes: Any = load_python_file(Path(__file__).parents[1], "changes.py")

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
INDEXES = (
    changes.Index("uq_prepare_goods_reservation", ("reservation_id",), unique=True),
    changes.Index("idx_prepare_goods_shop", ("shop_id",)),
    changes.Index("idx_prepare_goods_driver", ("driver_id",)),
    changes.Index("idx_prepare_goods_warehouse", ("warehouse_id",)),
    changes.Index("idx_prepare_goods_status", ("prepare_status",)),
    changes.Index("idx_prepare_goods_stock", ("stock_state",)),
)


def upgrade() -> None:
    """One statement for the missing columns, then one for each missing index."""
    changes.add_columns(TABLE, COLUMNS)
    for index in INDEXES:
        changes.add_index(TABLE, index)


def downgrade() -> None:
    """Drops indexes and columns; what they said is lost."""
    for index in INDEXES:
        changes.drop_index(TABLE, index)
    changes.drop_columns(TABLE, list(COLUMNS))
