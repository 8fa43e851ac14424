"""Keep every hold as a reservation with lines.

Why: the anonymous counter of reserved units becomes the sum of holds that somebody owns and that can end.
Previous release: it keeps working as long as it does not change reserved_quantity; units it held before become one
HELD reservation a stock, of the holder "legacy".
Locks: stock FOR SHARE while those reservations are written, so that the counter cannot move meanwhile.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

RESERVATION = """
CREATE TABLE IF NOT EXISTS inventory.reservation (
    reservation_id text COLLATE "C" PRIMARY KEY,
    holder text COLLATE "C" NOT NULL,
    state text NOT NULL,
    tombstone boolean NOT NULL DEFAULT false,
    created_by text NOT NULL,
    ttl interval,
    create_time timestamptz NOT NULL,
    expire_time timestamptz,
    resolve_time timestamptz,
    version bigint NOT NULL DEFAULT 1,
    CONSTRAINT ck_reservation_state CHECK (state IN ('HELD', 'COMMITTED', 'RELEASED', 'EXPIRED')),
    CONSTRAINT ck_reservation_resolve_time CHECK ((state = 'HELD') = (resolve_time IS NULL))
)
"""

LINE = """
CREATE TABLE IF NOT EXISTS inventory.reservation_line (
    reservation_id text COLLATE "C" NOT NULL
        CONSTRAINT fk_reservation_line_reservation REFERENCES inventory.reservation,
    stock_id uuid NOT NULL CONSTRAINT fk_reservation_line_stock REFERENCES inventory.stock,
    quantity integer NOT NULL,
    committed_quantity integer NOT NULL DEFAULT 0,
    open boolean NOT NULL DEFAULT true,
    PRIMARY KEY (reservation_id, stock_id),
    CONSTRAINT ck_reservation_line_quantity
        CHECK (quantity > 0 AND 0 <= committed_quantity AND committed_quantity <= quantity)
)
"""

INDEXES = (
    "ix_reservation_create_time ON inventory.reservation (create_time, reservation_id)",
    "ix_reservation_holder ON inventory.reservation (holder, create_time, reservation_id)",
    "ix_reservation_due ON inventory.reservation (expire_time)"
    " WHERE state = 'HELD' AND expire_time IS NOT NULL",
    "ix_reservation_line_stock ON inventory.reservation_line (stock_id)",
    "ix_reservation_line_open ON inventory.reservation_line (stock_id) WHERE open",
)

LEGACY_HOLDS = """
WITH unexplained AS (
    SELECT s.id, s.reserved_quantity - COALESCE(
        (SELECT sum(l.quantity) FROM inventory.reservation_line l WHERE l.stock_id = s.id AND l.open), 0
    ) AS units
    FROM inventory.stock s WHERE s.reserved_quantity > 0 FOR SHARE OF s
), held AS (
    INSERT INTO inventory.reservation (reservation_id, holder, state, created_by, create_time)
    SELECT 'legacy:' || id, 'legacy', 'HELD', 'migration', now() FROM unexplained WHERE units > 0
    RETURNING reservation_id
)
INSERT INTO inventory.reservation_line (reservation_id, stock_id, quantity)
SELECT 'legacy:' || id, id, units FROM unexplained WHERE 'legacy:' || id IN (SELECT reservation_id FROM held)
"""


def upgrade() -> None:
    """Creates both tables and explains the units held before; one transaction."""
    op.execute(RESERVATION)
    op.execute(LINE)
    for index in INDEXES:
        op.execute(f"CREATE INDEX IF NOT EXISTS {index}")
    op.execute(LEGACY_HOLDS)


def downgrade() -> None:
    """Drops both tables; reserved_quantity keeps counting what was held."""
    op.execute("DROP TABLE IF EXISTS inventory.reservation_line")
    op.execute("DROP TABLE IF EXISTS inventory.reservation")
