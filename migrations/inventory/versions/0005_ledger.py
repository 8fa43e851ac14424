"""Keep a ledger of every change of a quantity.

Why: a stock's quantity must be the sum of its movements, so that every unit can be accounted for.
Previous release: it may go on reading. What it still changes in quantities is not in the ledger and will be found
by the consistency check: let it stop writing first.
Locks: stock FOR SHARE while the opening movements are written, so that no quantity changes unseen meanwhile.

The table is partitioned by month, with partitions made ahead and a default one that takes what nobody foresaw.
"""

from datetime import UTC, date, datetime

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

MONTHS_AHEAD = 12

MOVEMENT = """
CREATE TABLE IF NOT EXISTS inventory.stock_movement (
    movement_id bigint NOT NULL DEFAULT nextval('inventory.stock_movement_id'),
    create_time timestamptz NOT NULL,
    stock_id uuid NOT NULL,
    delta integer NOT NULL,
    reason text NOT NULL,
    reference text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    reservation_id text COLLATE "C",
    actor text NOT NULL,
    PRIMARY KEY (movement_id, create_time),
    CONSTRAINT ck_stock_movement_delta CHECK (delta <> 0)
) PARTITION BY RANGE (create_time)
"""

INDEXES = (
    "ix_stock_movement_create_time ON inventory.stock_movement (create_time, movement_id)",
    "ix_stock_movement_stock ON inventory.stock_movement (stock_id, create_time, movement_id)",
    "ix_stock_movement_reservation ON inventory.stock_movement (reservation_id)"
    " WHERE reservation_id IS NOT NULL",
    "ix_stock_movement_reference ON inventory.stock_movement (reference) WHERE reference <> ''",
)

OPENING = """
INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)
SELECT now(), s.id, s.quantity, 'OPENING', 'migration'
FROM (SELECT id, quantity FROM inventory.stock WHERE quantity <> 0 ORDER BY id FOR SHARE) s
WHERE NOT EXISTS (SELECT FROM inventory.stock_movement m WHERE m.stock_id = s.id)
"""


def upgrade() -> None:
    """Creates the ledger and opens it with what is there; one transaction."""
    op.execute("CREATE SEQUENCE IF NOT EXISTS inventory.stock_movement_id")
    op.execute(MOVEMENT)
    today: datetime = op.get_bind().execute(sa.text("SELECT now()")).scalar_one()
    first = today.astimezone(UTC).date().replace(day=1)
    for _ in range(MONTHS_AHEAD + 1):
        after = _next_month(first)
        op.execute(
            f"CREATE TABLE IF NOT EXISTS inventory.stock_movement_{first:%Y_%m}"
            f" PARTITION OF inventory.stock_movement"
            f" FOR VALUES FROM ('{first} 00:00:00+00') TO ('{after} 00:00:00+00')"
        )
        first = after
    op.execute(
        "CREATE TABLE IF NOT EXISTS inventory.stock_movement_default"
        " PARTITION OF inventory.stock_movement DEFAULT"
    )
    for index in INDEXES:
        op.execute(f"CREATE INDEX IF NOT EXISTS {index}")
    op.execute(OPENING)


def downgrade() -> None:
    """Drops the ledger with its partitions; quantities stay."""
    op.execute("DROP TABLE IF EXISTS inventory.stock_movement")
    op.execute("DROP SEQUENCE IF EXISTS inventory.stock_movement_id")


def _next_month(first: date) -> date:
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
