"""Keep the names of stocks that are removed.

Why: a stock can be removed, while the lines of its reservations and its movements stay and must still name it.
Previous release: it keeps working; lines of a stock that was removed are not shown by it.
Locks: stock and reservation_line for the instant in which the foreign key goes.
"""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.util import load_python_file

revision = "0007"
down_revision = "0006"

online: Any = load_python_file(Path(__file__).parents[1], "online.py")


def upgrade() -> None:
    """Creates the table and lets lines outlive their stock."""
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS inventory.removed_stock (
            stock_id uuid PRIMARY KEY,
            sku text COLLATE "C" NOT NULL,
            remove_time timestamptz NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX IF NOT EXISTS ix_removed_stock_sku ON inventory.removed_stock (sku)")
    with op.get_context().autocommit_block():
        online.instantly(
            "ALTER TABLE inventory.reservation_line DROP CONSTRAINT IF EXISTS fk_reservation_line_stock"
        )


def refuse_downgrade() -> None:
    """Stops it where lines are of stocks that are gone: nothing could bind them."""
    lines = op.get_bind().execute(
        sa.text(
            "SELECT DISTINCT reservation_id FROM inventory.reservation_line line"
            " WHERE NOT EXISTS (SELECT FROM inventory.stock WHERE stock.id = line.stock_id) ORDER BY 1 LIMIT 20"
        )
    )
    if reservations := lines.scalars().all():
        raise sa.exc.InvalidRequestError(
            "reservations with lines of stocks that are gone have no place in the schema before:"
            f" {', '.join(reservations)}"
        )


def downgrade() -> None:
    """Binds lines to their stocks again."""
    refuse_downgrade()
    op.execute(
        "ALTER TABLE inventory.reservation_line ADD CONSTRAINT fk_reservation_line_stock"
        " FOREIGN KEY (stock_id) REFERENCES inventory.stock"
    )
    op.execute("DROP TABLE IF EXISTS inventory.removed_stock")
