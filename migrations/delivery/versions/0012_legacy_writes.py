"""Tell the writes of the old application, and take over what it wrote.

Why: while it is at work, packages come and change without their rows in tigu_prepare_goods_order. The engine marks
each such write by itself (`legacy_write_time`), and the service follows it; `legacy_write_day` tells until when
there were any. Every package begins marked: following each of them once is the backfill.
Previous release: it goes on; what it writes is marked and followed like the rest, and changes nothing.
Locks: the column is added in an instant, the index is built online. The backfill locks what a batch is about for a
tenth of a second, and leaves what somebody else has locked for later.

Lists that are not clean are reported, one line for each fault. Where an order is in two active packages of a leg,
the one with the lower id keeps it.
"""

from pathlib import Path
from typing import Any

from alembic import op
from alembic.util import load_python_file

revision = "0012"
down_revision = "0011"

changes: Any = load_python_file(Path(__file__).parents[1], "changes.py")
backfill: Any = load_python_file(Path(__file__).parents[1], "backfill.py")

TABLE = "tigu_prepare_goods"
COLUMNS = {
    "legacy_write_time": "DATETIME(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)"
}
INDEX = changes.Index("idx_prepare_goods_legacy_write", ("legacy_write_time",))

DAYS = "legacy_write_day"
DAYS_DEFINITION = """
    day DATE NOT NULL,
    packages INT UNSIGNED NOT NULL,
    last_time DATETIME(6) NOT NULL,
    PRIMARY KEY (day)
"""


def upgrade() -> None:
    """The table of days, the column, its index; then the backfill, which goes on where it was."""
    changes.needs_more_than_sql(
        "it reads the list of every package, a batch a transaction: use `delivery-service migrate upgrade`"
    )
    changes.create_table(DAYS, DAYS_DEFINITION)
    changes.add_columns(TABLE, COLUMNS)
    changes.add_index(TABLE, INDEX)
    with op.get_context().autocommit_block():
        config: Any = op.get_context().config
        backfill.backfill(op.get_bind(), config.attributes["progress"])


def downgrade() -> None:
    """Drops the column and the table; the rows of orders stay."""
    changes.drop_index(TABLE, INDEX)
    changes.drop_columns(TABLE, list(COLUMNS))
    changes.drop_table(DAYS)
