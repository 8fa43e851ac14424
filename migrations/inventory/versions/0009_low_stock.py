"""Keep thresholds and alerts of low stock.

Why: whoever sells must learn once, and at once, that a stock is running out.
Previous release: it keeps working, and its changes are judged too: a trigger does it in their transaction.
Locks: stock for the instants in which the foreign keys and the triggers come, after half a second at most; writers
go on before and after.

A stock is low from the moment its available units are at or below its threshold until they are above it by a tenth
(rounded up), so that a stock on the edge alerts once. Stocks that cannot be reserved are never low.
"""

from alembic import op

revision = "0009"
down_revision = "0008"

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS inventory.stock_threshold (
        stock_id uuid PRIMARY KEY,
        threshold integer NOT NULL,
        CONSTRAINT ck_stock_threshold_threshold CHECK (threshold >= 0)
    )
    """,
    # applied_to: a new threshold is being applied to the stocks behind this id; NULL once it is to all.
    """
    CREATE TABLE IF NOT EXISTS inventory.stock_threshold_default (
        only_row boolean PRIMARY KEY DEFAULT true,
        threshold integer,
        change_time timestamptz NOT NULL,
        applied_to uuid,
        CONSTRAINT ck_stock_threshold_default_only_row CHECK (only_row),
        CONSTRAINT ck_stock_threshold_default_threshold CHECK (threshold >= 0)
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS inventory.stock_alert (
        alert_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        stock_id uuid NOT NULL,
        threshold integer NOT NULL,
        available_quantity integer NOT NULL,
        low_since_time timestamptz NOT NULL,
        end_time timestamptz,
        announced boolean NOT NULL DEFAULT false
    )
    """,
    "CREATE UNIQUE INDEX IF NOT EXISTS uq_stock_alert_open ON inventory.stock_alert (stock_id)"
    " WHERE end_time IS NULL",
    "CREATE INDEX IF NOT EXISTS ix_stock_alert_low_since_time"
    " ON inventory.stock_alert (low_since_time, stock_id) WHERE end_time IS NULL",
    "CREATE INDEX IF NOT EXISTS ix_stock_alert_to_do ON inventory.stock_alert (alert_id)"
    " WHERE NOT announced OR end_time IS NOT NULL",
)

# Called while the stocks' rows are locked, so that nobody else judges them meanwhile. The shared lock makes whoever
# changes the default wait for judgements by the old one to be committed, and later judgements wait for the new one.
# An alert under a threshold that has changed is judged anew, without the margin.
JUDGE = """
CREATE OR REPLACE FUNCTION inventory.judge_low_stock(stock_ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('holdfast.inventory.low_stock'));
    WITH judged AS (
        SELECT stock.id, stock.quantity - stock.reserved_quantity AS available_quantity, alert.alert_id,
            alert.threshold AS fallen_to,
            CASE WHEN stock.status IN ('in_stock', 'presale', 'preorder')
            THEN COALESCE(own.threshold, everywhere.threshold) END AS threshold
        FROM inventory.stock
        LEFT JOIN inventory.stock_threshold own ON own.stock_id = stock.id
        LEFT JOIN inventory.stock_threshold_default everywhere ON true
        LEFT JOIN inventory.stock_alert alert ON alert.stock_id = stock.id AND alert.end_time IS NULL
        WHERE stock.id = ANY (stock_ids)
    ), ended AS (
        UPDATE inventory.stock_alert alert SET end_time = clock_timestamp() FROM judged
        WHERE alert.alert_id = judged.alert_id AND (
            judged.threshold IS NULL OR judged.available_quantity > judged.threshold
            + CASE judged.threshold WHEN judged.fallen_to THEN (judged.threshold + 9) / 10 ELSE 0 END)
    ), kept AS (
        UPDATE inventory.stock_alert alert SET threshold = judged.threshold FROM judged
        WHERE alert.alert_id = judged.alert_id AND judged.threshold <> judged.fallen_to
            AND judged.available_quantity <= judged.threshold
    )
    INSERT INTO inventory.stock_alert (stock_id, threshold, available_quantity, low_since_time)
    SELECT id, threshold, available_quantity, clock_timestamp() FROM judged
    WHERE alert_id IS NULL AND available_quantity <= threshold;
END
$$
"""

TRIGGER_FUNCTION = """
CREATE OR REPLACE FUNCTION inventory.stock_judged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM inventory.judge_low_stock(ARRAY(SELECT id FROM changed));
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    """Creates the tables and the judge; one transaction."""
    for statement in (*TABLES, JUDGE, TRIGGER_FUNCTION):
        op.execute(statement)
    op.execute("SET LOCAL lock_timeout = '500ms'")
    for table in ("stock_threshold", "stock_alert"):
        op.execute(
            f"ALTER TABLE inventory.{table} ADD CONSTRAINT fk_{table}_stock"
            " FOREIGN KEY (stock_id) REFERENCES inventory.stock ON DELETE CASCADE"
        )
    for event in ("insert", "update"):
        op.execute(
            f"CREATE OR REPLACE TRIGGER stock_judged_after_{event} AFTER {event} ON inventory.stock"
            " REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION inventory.stock_judged()"
        )


def downgrade() -> None:
    """Drops the judge, thresholds and alerts."""
    op.execute("SET LOCAL lock_timeout = '500ms'")
    for event in ("insert", "update"):
        op.execute(f"DROP TRIGGER IF EXISTS stock_judged_after_{event} ON inventory.stock")
    op.execute("DROP FUNCTION IF EXISTS inventory.stock_judged(), inventory.judge_low_stock(uuid[])")
    for table in ("stock_alert", "stock_threshold_default", "stock_threshold"):
        op.execute(f"DROP TABLE IF EXISTS inventory.{table}")
