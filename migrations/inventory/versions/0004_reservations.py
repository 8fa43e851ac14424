"""Keep every hold as a reservation with lines.

Why: the anonymous counter of reserved units becomes the sum of holds that somebody owns and that can end.
Previous release: it may go on. Units it held before become one HELD reservation a stock, of the holder "legacy", and
a trigger makes that one grow and shrink with what others than the service do to reserved_quantity. Lowering it
below what other reservations hold is refused.
Locks: each step takes its lock for an instant; rows of stock are locked 1,000 at a time while they are explained.

Where a table stock_reservation is found, its open rows become reservations of their own first. One whose time is
over stays HELD as far as the counter still counts it, for the service to expire, and is EXPIRED else.
"""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.util import load_python_file

revision = "0004"
down_revision = "0003"

online: Any = load_python_file(Path(__file__).parents[1], "online.py")

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
    {which}
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

# Called while the stocks' rows are locked. What no other open line explains is the hold of "legacy"; one that was
# resolved stays so, and the next gets a number.
EXPLAIN_HOLDS = """
CREATE OR REPLACE FUNCTION inventory.explain_holds(stock_ids uuid[]) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    one record;
    new_id text;
    explained integer := 0;
BEGIN
    FOR one IN
        SELECT s.id, s.reserved_quantity - COALESCE(lines.units, 0) AS units, hold.reservation_id, hold.quantity
        FROM inventory.stock s
        LEFT JOIN LATERAL (SELECT sum(l.quantity) AS units FROM inventory.reservation_line l
            WHERE l.stock_id = s.id AND l.open) lines ON true
        LEFT JOIN LATERAL (SELECT l.reservation_id, l.quantity FROM inventory.reservation_line l
            WHERE l.stock_id = s.id AND l.open AND l.reservation_id LIKE 'legacy:' || s.id || '%') hold ON true
        WHERE s.id = ANY (stock_ids) AND s.reserved_quantity <> COALESCE(lines.units, 0) ORDER BY s.id
    LOOP
        explained := explained + 1;
        IF COALESCE(one.quantity, 0) + one.units < 0 THEN
            RAISE EXCEPTION 'stock % has % units held by reservations that its reserved_quantity does not count',
                one.id, -one.units - COALESCE(one.quantity, 0) USING ERRCODE = 'check_violation';
        ELSIF one.reservation_id IS NULL THEN
            SELECT 'legacy:' || one.id || CASE count(*) WHEN 0 THEN '' ELSE ':' || count(*) + 1 END INTO new_id
            FROM inventory.reservation_line l
            WHERE l.stock_id = one.id AND l.reservation_id LIKE 'legacy:' || one.id || '%';
            INSERT INTO inventory.reservation (reservation_id, holder, state, created_by, create_time)
            VALUES (new_id, 'legacy', 'HELD', 'migration', now());
            INSERT INTO inventory.reservation_line (reservation_id, stock_id, quantity)
            VALUES (new_id, one.id, one.units);
        ELSIF one.quantity + one.units = 0 THEN
            UPDATE inventory.reservation SET state = 'RELEASED', resolve_time = now(), version = version + 1
            WHERE reservation_id = one.reservation_id;
            UPDATE inventory.reservation_line SET open = false WHERE reservation_id = one.reservation_id;
        ELSE
            UPDATE inventory.reservation SET version = version + 1 WHERE reservation_id = one.reservation_id;
            UPDATE inventory.reservation_line SET quantity = quantity + one.units
            WHERE reservation_id = one.reservation_id;
        END IF;
    END LOOP;
    RETURN explained;
END
$$
"""
TRIGGER_FUNCTION = """
CREATE OR REPLACE FUNCTION inventory.stock_holds_explained() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM inventory.explain_holds(ARRAY[NEW.id]);
    RETURN NULL;
END
$$
"""
# The service, whose sessions say that they are its own, explains what it holds by itself.
TRIGGERS = {
    "stock_holds_explained_insert": "INSERT ON inventory.stock FOR EACH ROW WHEN (NEW.reserved_quantity <> 0",
    "stock_holds_explained_update": (
        "UPDATE OF reserved_quantity ON inventory.stock FOR EACH ROW"
        " WHEN (NEW.reserved_quantity <> OLD.reserved_quantity"
    ),
}
UNEXPLAINED = """
s.reserved_quantity <> COALESCE(
    (SELECT sum(l.quantity) FROM inventory.reservation_line l WHERE l.stock_id = s.id AND l.open), 0)
"""


def upgrade() -> None:
    """Creates both tables, begins to follow the counter, then explains what it counts already."""
    with op.get_context().autocommit_block():
        op.execute(RESERVATION)
        online.instantly(LINE)
        for index in INDEXES:
            op.execute(f"CREATE INDEX IF NOT EXISTS {index}")
        op.get_bind().exec_driver_sql(EXPLAIN_HOLDS)
        op.get_bind().exec_driver_sql(TRIGGER_FUNCTION)
        for name, event in TRIGGERS.items():
            online.instantly(
                f"CREATE OR REPLACE TRIGGER {name} AFTER {event}"
                " AND current_setting('application_name') <> 'holdfast')"
                " EXECUTE FUNCTION inventory.stock_holds_explained()"
            )
        _enter_legacy_reservations()
        online.in_batches(
            "held units explained",
            UNEXPLAINED,
            "SELECT inventory.explain_holds(ARRAY(SELECT id FROM batch))",
        )


def downgrade() -> None:
    """Drops both tables; reserved_quantity keeps counting what was held."""
    for name in TRIGGERS:
        op.execute(f"DROP TRIGGER IF EXISTS {name} ON inventory.stock")
    op.execute("DROP FUNCTION IF EXISTS inventory.stock_holds_explained()")
    op.execute("DROP FUNCTION IF EXISTS inventory.explain_holds(uuid[])")
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
    parts = {
        "holder": f"COALESCE(NULLIF({holder}, ''), 'legacy')" if "reserved_by" in columns else "'legacy'",
        "expire_time": "r.reserved_until" if "reserved_until" in columns else "NULL::timestamptz",
        "create_time": "COALESCE(r.created_at, now())" if "created_at" in columns else "now()",
        "status": "lower(COALESCE(r.status, 'active'))" if "status" in columns else "'active'",
        "open": OPEN,
    }
    every_row = OPEN_ROWS.format(**parts, which="").replace(":", r"\:")
    if names := op.get_bind().execute(sa.text(every_row + CONTRADICTIONS)).scalars().all():
        raise sa.exc.InvalidRequestError(f"stock and stock_reservation disagree: {', '.join(names)}")
    some_rows = OPEN_ROWS.format(**parts, which="AND s.id = ANY(CAST({ids} AS uuid[])) FOR UPDATE OF s")
    enter = sa.text((some_rows + LEGACY_RESERVATIONS).replace(":", r"\:").format(ids=":ids"))
    next_stocks = sa.text(
        "SELECT DISTINCT stock_id FROM inventory.stock_reservation"
        " WHERE stock_id > CAST(:after AS uuid) ORDER BY stock_id LIMIT :batch"
    )
    after = "00000000-0000-0000-0000-000000000000"
    while ids := op.get_bind().execute(next_stocks, {"after": after, "batch": online.BATCH}).scalars().all():
        op.get_bind().execute(enter, {"ids": ids})
        after = str(ids[-1])
