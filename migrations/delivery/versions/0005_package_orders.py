"""Keep the orders of a package as rows instead of a list in a text column.

Why: `active_leg` is the package's leg while it is active, else NULL: the unique key lets an order be in one
active package per leg, and orders are found by an index instead of by parts of a text.
Previous release: it goes on; order_ids is written as before, for old readers. The rows are filled in by 0012.
Locks: none; the table is new.

No foreign keys: legacy ids may be signed.
"""

from pathlib import Path
from typing import Any

from alembic.util import load_python_file

revision = "0005"
down_revision = "0004"

changes: Any = load_python_file(Path(__file__).parents[1], "changes.py")

TABLE = "tigu_prepare_goods_order"
DEFINITION = """
    prepare_goods_id BIGINT UNSIGNED NOT NULL,
    order_id BIGINT UNSIGNED NOT NULL,
    active_leg TINYINT NULL,
    PRIMARY KEY (prepare_goods_id, order_id),
    UNIQUE KEY uq_prepare_goods_order_active (order_id, active_leg),
    CONSTRAINT ck_prepare_goods_order_leg CHECK (active_leg IN (0, 1))
"""


def upgrade() -> None:
    """Makes the table where it is missing."""
    changes.create_table(TABLE, DEFINITION)


def downgrade() -> None:
    """Drops the table; `order_ids` says the same."""
    changes.drop_table(TABLE)
