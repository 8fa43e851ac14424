"""Keep every hold as a reservation with lines.

Why: the anonymous counter of reserved units becomes the sum of holds that somebody owns and that can end.
Previous release: it keeps working as long as it does not change reserved_quantity; units it held before become one
HELD reservation a stock, of the holder "legacy".
Locks: stock FOR SHARE while those reservations are written, so that the counter cannot move meanwhile.

Where a table stock_reservation is found, its open rows become reservations of their own first. One whose time is
over stays HELD as far as the counter still counts it, for the service to expire, and is EXPIRED else.
"""

import sqlalchemy as sa
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

OPEN = ("active", "open", "held", "pending", "reserved")

# What is still due goes first: the counter of a stock covers it before any hold whose time is over.
OPEN_ROWS = """
WITH open_row AS (
    SELECT 'legacy:reservation:' || r.id AS reservation_id, r.stock_id, r.reserved_quantity AS units,
        {holder} AS holder, {expire_time} AS expire_time, {create_time} AS create_time,
        s.quantity, COALESCE(s.reserved_quantity, 0) AS counted
    FROM inventory.stock_reservation r JOIN inventory.stock s ON s.id = r.stock_id
    WHERE {status} IN {open}
    AND NOT EXISTS (SELECT FROM inventory.reservation n WHERE n.reservation_id = 'legacy:reservation:' || r.id)
    FOR UPDATE OF s
), dated AS (
    SELECT *, COALESCE(expire_time <= now(), false) AS past FROM open_row
), placed AS (
    SELECT *,
        COALESCE(sum(units) FILTER (WHERE NOT past) OVER (PARTITION BY stock_id), 0) AS due,
        sum(units) OVER (PARTITION BY stock_id ORDER BY past, expire_time, reservation_id) AS running
    FROM dated
)
"""
CONTRADICTIONS = """
SELECT DISTINCT stock_id || ' (' || due || ' reserved, ' || counted || ' counted, of ' || quantity || ')'
FROM placed WHERE (counted <> 0 AND due > counted) OR due > quantity LIMIT 20
"""
LEGACY_RESERVATIONS = """
, decided AS (
    SELECT *, NOT past OR running <= counted AS held FROM placed
), added AS (
    INSERT INTO inventory.reservation
        (reservation_id, holder, state, created_by, create_time, expire_time, resolve_time)
    SELECT reservation_id, holder, CASE WHEN held THEN 'HELD' ELSE 'EXPIRED' END, 'migration', create_time,
        expire_time, CASE WHEN NOT held THEN expire_time END
    FROM decided
), lines AS (
    INSERT INTO inventory.reservation_line (reservation_id, stock_id, quantity, open)
    SELECT reservation_id, stock_id, units, held FROM decided
)
UPDATE inventory.stock s SET reserved_quantity = d.due
FROM (SELECT DISTINCT stock_id, due FROM decided WHERE counted = 0 AND due > 0) d WHERE s.id = d.stock_id
"""

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
    _enter_legacy_reservations()
    op.execute(LEGACY_HOLDS)


def downgrade() -> None:
    """Drops both tables; reserved_quantity keeps counting what was held."""
    op.execute("DROP TABLE IF EXISTS inventory.reservation_line")
    op.execute("DROP TABLE IF EXISTS inventory.reservation")


def _enter_legacy_reservations() -> None:
    found = sa.text(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('inventory.stock_reservation')"
        " AND attnum > 0 AND NOT attisdropped"
    )
    columns = set(op.get_bind().execute(found).scalars())
    if not columns:
        return
    holder = "left(regexp_replace(r.reserved_by::text, '[^A-Za-z0-9._:/-]+', '-', 'g'), 64)"
    rows = OPEN_ROWS.format(
        holder=f"COALESCE(NULLIF({holder}, ''), 'legacy')" if "reserved_by" in columns else "'legacy'",
        expire_time="r.reserved_until" if "reserved_until" in columns else "NULL::timestamptz",
        create_time="COALESCE(r.created_at, now())" if "created_at" in columns else "now()",
        status="lower(COALESCE(r.status, 'active'))" if "status" in columns else "'active'",
        open=OPEN,
    )
    if names := op.get_bind().execute(sa.text(rows + CONTRADICTIONS)).scalars().all():
        raise sa.exc.InvalidRequestError(f"stock and stock_reservation disagree: {', '.join(names)}")
    op.execute(sa.text(rows + LEGACY_RESERVATIONS))
