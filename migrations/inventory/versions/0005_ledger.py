"""Keep a ledger of every change of a quantity.

Why: a stock's quantity must be the sum of its movements, so that every unit can be accounted for.
Previous release: it may go on. A trigger writes down what others than the service do to a quantity, with the reason
OTHER and the actor "legacy".
Locks: the triggers take theirs for an instant; rows of stock are locked 1,000 at a time while their opening movements
are written.

The table is partitioned by month, with partitions made ahead and a default one that takes what nobody foresaw.
"""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.util import load_python_file

revision = "0005"
down_revision = "0004"

online: Any = load_python_file(Path(__file__).parents[1], "online.py")

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

# A stock that was not opened yet when somebody changes it is opened with what it had before.
OPEN_BEFORE = """
    IF OLD.quantity <> 0 AND NOT EXISTS (SELECT FROM inventory.stock_movement m WHERE m.stock_id = NEW.id) THEN
        INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)
        VALUES (now(), NEW.id, OLD.quantity, 'OPENING', 'migration');
    END IF;
"""
FOLLOW = """
CREATE OR REPLACE FUNCTION inventory.stock_quantity_followed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {open_before}
    INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, note, actor)
    VALUES (clock_timestamp(), NEW.id, NEW.quantity - COALESCE(OLD.quantity, 0),
        CASE TG_OP WHEN 'INSERT' THEN 'OPENING' ELSE 'OTHER' END, 'changed past the service', 'legacy');
    RETURN NULL;
END
$$
"""
# The service, whose sessions say that they are its own, writes its movements by itself.
TRIGGERS = {
    "stock_quantity_followed_insert": "INSERT ON inventory.stock FOR EACH ROW WHEN (NEW.quantity <> 0",
    "stock_quantity_followed_update": (
        "UPDATE OF quantity ON inventory.stock FOR EACH ROW WHEN (NEW.quantity <> OLD.quantity"
    ),
}

# A look of its own at the ledger, taken once the rows are locked: it sees what the trigger wrote until then.
OPEN_STOCKS = """
CREATE OR REPLACE FUNCTION pg_temp.open_stocks(stock_ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)
    SELECT now(), s.id, s.quantity, 'OPENING', 'migration' FROM inventory.stock s
    WHERE s.id = ANY (stock_ids) AND s.quantity <> 0
        AND NOT EXISTS (SELECT FROM inventory.stock_movement m WHERE m.stock_id = s.id)
    ORDER BY s.id;
END
$$
"""
UNOPENED = (
    "s.quantity <> 0 AND"
    " (SELECT m.movement_id FROM inventory.stock_movement m WHERE m.stock_id = s.id LIMIT 1) IS NULL"
)


def upgrade() -> None:
    """Creates the ledger, begins to follow the quantities, then opens it with what is there."""
    with op.get_context().autocommit_block():
        op.execute("CREATE SEQUENCE IF NOT EXISTS inventory.stock_movement_id")
        op.execute(MOVEMENT)
        _make_partitions()
        for index in INDEXES:
            op.execute(f"CREATE INDEX IF NOT EXISTS {index}")
        op.get_bind().exec_driver_sql(FOLLOW.format(open_before=OPEN_BEFORE))
        for name, event in TRIGGERS.items():
            online.instantly(
                f"CREATE OR REPLACE TRIGGER {name} AFTER {event}"
                " AND current_setting('application_name') <> 'holdfast')"
                " EXECUTE FUNCTION inventory.stock_quantity_followed()"
            )
        op.get_bind().exec_driver_sql(OPEN_STOCKS)
        online.in_batches(
            "stocks opened", UNOPENED, "SELECT pg_temp.open_stocks(ARRAY(SELECT id FROM batch))"
        )
        # A stock whose months are archived later has no movements, and is open all the same.
        op.get_bind().exec_driver_sql(FOLLOW.format(open_before=""))


def downgrade() -> None:
    """Drops the ledger with its partitions; quantities stay."""
    for name in TRIGGERS:
        op.execute(f"DROP TRIGGER IF EXISTS {name} ON inventory.stock")
    op.execute("DROP FUNCTION IF EXISTS inventory.stock_quantity_followed()")
    op.execute("DROP TABLE IF EXISTS inventory.stock_movement")
    op.execute("DROP SEQUENCE IF EXISTS inventory.stock_movement_id")


def _make_partitions() -> None:
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


def _next_month(first: date) -> date:
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
