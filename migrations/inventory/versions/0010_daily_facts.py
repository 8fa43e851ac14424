"""Keep daily facts beside the ledger.

Why: history by day is read often and over long ranges, and must not cost a scan of the ledger each time.
Previous release: it keeps working; its movements are noted by the trigger and counted by the next release.
Locks: stock_movement against writers for the instant in which the trigger is made. The movements before it are
noted 5,000 at a time beside writers, each batch with its position in one transaction.

Every movement leaves a note in `uncounted_movement`, in its own transaction: what it changed, and in which status
and on which platform its stock was then. The service counts notes into the facts and takes them away. For the
movements before this revision, status and platform are what the histories of the stock say of that time. A month
that is attached to the ledger again leaves no notes, as its movements were counted already. On the way back the
facts are dropped; those of months that are no longer in the ledger cannot be made again.
"""

import logging

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

log = logging.getLogger("migrations.inventory.0010")

BATCH = 5000

TABLES = (
    "CREATE SCHEMA IF NOT EXISTS analytics",
    """
    CREATE TABLE IF NOT EXISTS inventory.uncounted_movement (
        create_time timestamptz NOT NULL,
        movement_id bigint NOT NULL,
        sku text COLLATE "C" NOT NULL,
        status text NOT NULL,
        platform text NOT NULL,
        reason text NOT NULL,
        delta integer NOT NULL,
        PRIMARY KEY (create_time, movement_id)
    ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)
    """,
    """
    CREATE TABLE IF NOT EXISTS analytics.daily_stock_fact (
        day date NOT NULL,
        sku text COLLATE "C" NOT NULL,
        received_quantity bigint NOT NULL,
        sold_quantity bigint NOT NULL,
        returned_quantity bigint NOT NULL,
        adjusted_quantity bigint NOT NULL,
        PRIMARY KEY (day, sku)
    )
    """,
    "CREATE INDEX IF NOT EXISTS ix_daily_stock_fact_sku ON analytics.daily_stock_fact (sku, day)",
    """
    CREATE TABLE IF NOT EXISTS analytics.daily_status_fact (
        day date NOT NULL,
        status text COLLATE "C" NOT NULL,
        platform text COLLATE "C" NOT NULL,
        received_quantity bigint NOT NULL,
        sold_quantity bigint NOT NULL,
        returned_quantity bigint NOT NULL,
        adjusted_quantity bigint NOT NULL,
        PRIMARY KEY (day, status, platform)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS analytics.first_fill (
        first boolean PRIMARY KEY DEFAULT true CHECK (first),
        boundary bigint NOT NULL,
        position bigint NOT NULL
    )
    """,
)

# Listings are in the order in which they were made: the first open one is the one that has been open longest.
NOTE_MOVEMENTS = """
CREATE OR REPLACE FUNCTION inventory.note_movements() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inventory.uncounted_movement (create_time, movement_id, sku, status, platform, reason, delta)
    SELECT movement.create_time, movement.movement_id,
        COALESCE(stock.sku, removed.sku, movement.stock_id::text), COALESCE(stock.status, ''),
        COALESCE(jsonb_path_query_first(stock.listed_on_platforms, '$[*] ? (@.status == "active"
            && (@.platform == "stockx" || @.platform == "ebay" || @.platform == "goat"
                || @.platform == "alias" || @.platform == "local")).platform') #>> '{}', ''),
        movement.reason, movement.delta
    FROM entered movement
    LEFT JOIN inventory.stock ON stock.id = movement.stock_id
    LEFT JOIN inventory.removed_stock removed ON removed.stock_id = movement.stock_id;
    RETURN NULL;
END
$$
"""

TRIGGER = """
CREATE OR REPLACE TRIGGER note_movements AFTER INSERT ON inventory.stock_movement
    REFERENCING NEW TABLE AS entered FOR EACH STATEMENT EXECUTE FUNCTION inventory.note_movements()
"""

# No movement is being written while the trigger is made: what is there now is all that it did not see.
BOUNDARY = """
INSERT INTO analytics.first_fill (boundary, position)
SELECT COALESCE(max(movement_id), 0), 0 FROM inventory.stock_movement
ON CONFLICT DO NOTHING
"""

# Histories were written by older systems too: a time that cannot be read is no time.
INSTANT = """
CREATE OR REPLACE FUNCTION pg_temp.instant(value text) RETURNS timestamptz LANGUAGE plpgsql STRICT AS $$
BEGIN
    RETURN value::timestamptz;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$
"""

FILL = """
WITH batch AS MATERIALIZED (
    SELECT movement_id, create_time, stock_id, reason, delta FROM inventory.stock_movement
    WHERE movement_id > :position AND movement_id <= :boundary ORDER BY movement_id LIMIT :batch
), noted AS (
    INSERT INTO inventory.uncounted_movement (create_time, movement_id, sku, status, platform, reason, delta)
    SELECT movement.create_time, movement.movement_id,
        COALESCE(stock.sku, removed.sku, movement.stock_id::text),
        COALESCE(
            (SELECT entry ->> 'to_status'
             FROM jsonb_path_query(stock.status_history, '$[*]') WITH ORDINALITY history (entry, number)
             WHERE pg_temp.instant(entry ->> 'changed_at') <= movement.create_time
                AND entry ->> 'to_status' = ANY(known.statuses)
             ORDER BY number DESC LIMIT 1),
            (SELECT entry ->> 'from_status'
             FROM jsonb_path_query(stock.status_history, '$[*]') WITH ORDINALITY history (entry, number)
             WHERE pg_temp.instant(entry ->> 'changed_at') > movement.create_time
                AND entry ->> 'from_status' = ANY(known.statuses)
             ORDER BY number LIMIT 1),
            stock.status, ''),
        COALESCE(
            (SELECT entry ->> 'platform'
             FROM jsonb_path_query(stock.listed_on_platforms, '$[*]') WITH ORDINALITY listing (entry, number)
             WHERE entry ->> 'platform' = ANY(known.platforms)
                AND COALESCE(pg_temp.instant(entry ->> 'listed_at') <= movement.create_time, true)
                AND (entry ->> 'status' = 'active'
                    OR pg_temp.instant(entry ->> 'ended_at') > movement.create_time)
             ORDER BY number LIMIT 1),
            ''),
        movement.reason, movement.delta
    FROM batch movement
    CROSS JOIN (SELECT ARRAY['in_stock', 'presale', 'preorder', 'sold', 'canceled', 'error'] AS statuses,
        ARRAY['stockx', 'ebay', 'goat', 'alias', 'local'] AS platforms) known
    LEFT JOIN inventory.stock ON stock.id = movement.stock_id
    LEFT JOIN inventory.removed_stock removed ON removed.stock_id = movement.stock_id
)
UPDATE analytics.first_fill SET position = (SELECT COALESCE(max(movement_id), :boundary) FROM batch)
RETURNING position, (SELECT count(*) FROM batch) AS noted
"""

DROP_SCHEMA_OF_OURS = """
DO $$
BEGIN
    DROP SCHEMA IF EXISTS analytics;
EXCEPTION WHEN dependent_objects_still_exist THEN
    NULL; -- somebody else keeps things there
END
$$
"""


def upgrade() -> None:
    """Makes the trigger and remembers how far the ledger was then; then notes what is before, in batches."""
    # Whoever waits for the ledger's lock holds up all writers who come after.
    op.execute("SET LOCAL lock_timeout = '500ms'")
    for statement in (*TABLES, NOTE_MOVEMENTS, TRIGGER, BOUNDARY):
        op.execute(statement)
    with op.get_context().autocommit_block():
        _fill()


def downgrade() -> None:
    """Drops the facts and the notes; the ledger stays."""
    op.execute("DROP TRIGGER IF EXISTS note_movements ON inventory.stock_movement")
    op.execute("DROP FUNCTION IF EXISTS inventory.note_movements()")
    op.execute("DROP TABLE IF EXISTS inventory.uncounted_movement")
    for table in ("daily_stock_fact", "daily_status_fact", "first_fill"):
        op.execute(f"DROP TABLE IF EXISTS analytics.{table}")
    op.execute(DROP_SCHEMA_OF_OURS)


def _fill() -> None:
    bind = op.get_bind()
    bind.execute(sa.text(INSTANT))
    boundary, position = bind.execute(sa.text("SELECT boundary, position FROM analytics.first_fill")).one()
    noted = 0
    while position < boundary:
        values = {"position": position, "boundary": boundary, "batch": BATCH}
        position, rows = bind.execute(sa.text(FILL), values).one()
        noted += rows
        log.info("%d movements noted, up to number %d of %d", noted, position, boundary)
