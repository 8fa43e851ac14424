"""Index what is listed page by page: what a driver may claim, a workflow's packages in a state, orders by who and how.

Why: each of these read a part of its table that grows with it, however short the page.
Previous release: it goes on, and is quicker.
Locks: none for readers and writers, the old application's included; each index is built online, one by one, and takes
its table's metadata for an instant. No row is changed.
"""

from pathlib import Path
from typing import Any

from alembic.util import load_python_file

revision = "0013"
down_revision = "0012"
serves_since = "0012"

changes: Any = load_python_file(Path(__file__).parents[1], "changes.py")

INDEXES = (
    (
        "tigu_prepare_goods",
        changes.Index("idx_prepare_goods_claim", ("driver_id", "prepare_status", "delivery_type")),
    ),
    (
        "tigu_prepare_goods",
        changes.Index(
            "idx_prepare_goods_workflow_status", ("delivery_type", "shipping_type", "prepare_status")
        ),
    ),
    ("tigu_order", changes.Index("idx_order_shop", ("shop_id",))),
    ("tigu_order", changes.Index("idx_order_user", ("user_id",))),
    ("tigu_order", changes.Index("idx_order_status", ("order_status",))),
)


def upgrade() -> None:
    """One statement for each missing index."""
    for table, index in INDEXES:
        changes.add_index(table, index)


def downgrade() -> None:
    """Drops them."""
    for table, index in INDEXES:
        changes.drop_index(table, index)
