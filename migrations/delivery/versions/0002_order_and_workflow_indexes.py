"""Index packages by order and by workflow.

Why: both are looked up all the time, and each look reads the whole table without them. tigu_order is not
touched.
Previous release: it goes on, and is quicker.
Locks: none for readers and writers; each index is built online and takes the table's metadata for an instant.

Checked before anything is changed: the tables, their columns, no index of these names that is made otherwise (by
columns, their order, prefix, uniqueness, or not used). Verified after each index.
"""

from pathlib import Path
from typing import Any

from alembic.util import load_python_file

revision = "0002"
down_revision = "0001"

changes: Any = load_python_file(Path(__file__).parents[1], "changes.py")

TABLE = "tigu_prepare_goods"
INDEXES = (
    changes.Index("idx_order_ids", ("order_ids(100)",)),
    changes.Index("idx_delivery_shipping", ("delivery_type", "shipping_type")),
)


def upgrade() -> None:
    """Adds what is missing, one statement an index."""
    changes.require(TABLE, "order_ids", "delivery_type", "shipping_type")
    changes.require("tigu_order", "id")
    for index in INDEXES:
        changes.check_index(TABLE, index)
    for index in INDEXES:
        changes.add_index(TABLE, index)


def downgrade() -> None:
    """Drops the two indexes where they are."""
    for index in INDEXES:
        changes.drop_index(TABLE, index)
