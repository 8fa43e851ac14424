"""Consolidate the split tables into stock (Phase 2).

Why: quantities held, listings and history stand in one row; metrics come from a view.
Previous release: it keeps working. Columns are only added, and the split tables stay, with a backup beside them.
Locks: ADD COLUMN for an instant; rows of stock that take values over, while these are written; the indexes are
built CONCURRENTLY. A table that stays busy is given up after the lock timeout and tried again.

Where the split tables and stock contradict each other, the revision stops, names the rows and changes nothing.
"""

import logging

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

log = logging.getLogger("migrations.inventory.0002")

SPLIT_TABLES = ("stock_financial", "stock_lifecycle", "stock_metrics")
MONEY = (
    "purchase_price",
    "gross_purchase_price",
    "vat_amount",
    "vat_rate",
    "profit_per_shelf_day",
    "roi_percentage",
)

INDEXES = {
    "idx_stock_reserved": "inventory.stock (id, reserved_quantity) WHERE reserved_quantity > 0",
    "idx_stock_listed_platforms": (
        "inventory.stock USING gin (listed_on_platforms) WHERE listed_on_platforms IS NOT NULL"
    ),
    "idx_stock_status_history": (
        "inventory.stock USING gin (status_history) WHERE status_history IS NOT NULL"
    ),
}

VIEW = """
CREATE MATERIALIZED VIEW IF NOT EXISTS inventory.stock_metrics_view AS
SELECT
    s.id AS stock_id,
    s.quantity AS total_quantity,
    s.quantity - COALESCE(s.reserved_quantity, 0) AS available_quantity,
    s.reserved_quantity,
    s.gross_purchase_price AS total_cost,
    CASE
        WHEN s.roi_percentage IS NOT NULL AND s.roi_percentage > 0
        THEN s.gross_purchase_price * (s.roi_percentage / 100)
        ELSE NULL
    END AS expected_profit,
    now() AS last_calculated_at,
    s.created_at,
    s.updated_at
FROM inventory.stock s
"""

REFRESH = """
CREATE OR REPLACE FUNCTION inventory.refresh_stock_metrics() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    REFRESH MATERIALIZED VIEW CONCURRENTLY inventory.stock_metrics_view;
END
$$
"""


def upgrade() -> None:
    """Backs up, checks, adds, moves, verifies; then builds the indexes."""
    log.info("backing up the split tables")
    for table in SPLIT_TABLES:
        op.execute(f"CREATE TABLE IF NOT EXISTS inventory.{table}_backup AS TABLE inventory.{table}")
    log.info("adding columns")
    op.execute("ALTER TABLE inventory.stock ADD COLUMN IF NOT EXISTS listed_on_platforms jsonb")
    op.execute("ALTER TABLE inventory.stock ADD COLUMN IF NOT EXISTS status_history jsonb")
    op.execute("ALTER TABLE inventory.stock ADD COLUMN IF NOT EXISTS reserved_quantity integer DEFAULT 0")
    _stop_at_contradictions()
    _move_rows()
    log.info("creating stock_metrics_view")
    op.execute(VIEW)
    op.execute(
        "CREATE UNIQUE INDEX IF NOT EXISTS idx_stock_metrics_view_stock_id"
        " ON inventory.stock_metrics_view (stock_id)"
    )
    op.execute(
        "CREATE INDEX IF NOT EXISTS idx_stock_metrics_view_available"
        " ON inventory.stock_metrics_view (available_quantity) WHERE available_quantity > 0"
    )
    op.execute(REFRESH)
    op.execute("REFRESH MATERIALIZED VIEW inventory.stock_metrics_view")
    _verify()
    with op.get_context().autocommit_block():
        for name, target in INDEXES.items():
            log.info("building %s", name)
            _build_index(name, target)


def downgrade() -> None:
    """Gives the split tables their values back and drops what was added."""
    op.execute("DROP FUNCTION IF EXISTS inventory.refresh_stock_metrics()")
    op.execute("DROP MATERIALIZED VIEW IF EXISTS inventory.stock_metrics_view")
    op.execute("DELETE FROM inventory.stock_lifecycle l USING inventory.stock s WHERE s.id = l.stock_id")
    op.execute(
        "INSERT INTO inventory.stock_lifecycle (stock_id, listed_on_platforms, status_history)"
        " SELECT id, listed_on_platforms, status_history FROM inventory.stock"
        " WHERE listed_on_platforms IS NOT NULL OR status_history IS NOT NULL"
    )
    op.execute(
        "UPDATE inventory.stock_metrics m SET reserved_quantity = s.reserved_quantity,"
        " available_quantity = s.quantity - s.reserved_quantity"
        " FROM inventory.stock s WHERE s.id = m.stock_id"
    )
    op.execute(
        "INSERT INTO inventory.stock_metrics (stock_id, available_quantity, reserved_quantity)"
        " SELECT s.id, s.quantity - s.reserved_quantity, s.reserved_quantity FROM inventory.stock s"
        " WHERE s.reserved_quantity > 0"
        " AND NOT EXISTS (SELECT FROM inventory.stock_metrics m WHERE m.stock_id = s.id)"
    )
    for column in ("reserved_quantity", "status_history", "listed_on_platforms"):
        op.execute(f"ALTER TABLE inventory.stock DROP COLUMN IF EXISTS {column}")
    for table in SPLIT_TABLES:
        op.execute(f"DROP TABLE IF EXISTS inventory.{table}_backup")


def _stop_at_contradictions() -> None:
    for table in SPLIT_TABLES:
        _stop_if_any(
            f"SELECT t.stock_id FROM inventory.{table} t"  # noqa: S608
            " LEFT JOIN inventory.stock s ON s.id = t.stock_id WHERE s.id IS NULL",
            f"{table} has rows of stocks that do not exist",
        )
        _stop_if_any(
            f"SELECT stock_id FROM inventory.{table} GROUP BY stock_id HAVING count(*) > 1",  # noqa: S608
            f"{table} has several rows of one stock",
        )
    differs = " OR ".join(f"s.{column} <> f.{column}" for column in MONEY)
    _stop_if_any(
        "SELECT s.id FROM inventory.stock s JOIN inventory.stock_financial f ON f.stock_id = s.id"  # noqa: S608
        f" WHERE {differs}",
        "stock and stock_financial disagree on money",
    )
    _stop_if_any(
        "SELECT s.id FROM inventory.stock s JOIN inventory.stock_metrics m ON m.stock_id = s.id"
        " WHERE s.reserved_quantity <> 0 AND m.reserved_quantity <> s.reserved_quantity",
        "stock and stock_metrics disagree on reserved units",
    )


def _move_rows() -> None:
    log.info("moving rows of the split tables")
    taken = ", ".join(f"{column} = COALESCE(s.{column}, f.{column})" for column in MONEY)
    missing = " OR ".join(f"(s.{column} IS NULL AND f.{column} IS NOT NULL)" for column in MONEY)
    op.execute(
        f"UPDATE inventory.stock s SET {taken} FROM inventory.stock_financial f"  # noqa: S608
        f" WHERE f.stock_id = s.id AND ({missing})"
    )
    for column in ("listed_on_platforms", "status_history"):
        both = _both_documents(column)
        op.execute(
            f"UPDATE inventory.stock s SET {column} = {both} FROM inventory.stock_lifecycle l"  # noqa: S608
            f" WHERE l.stock_id = s.id AND {both} IS DISTINCT FROM s.{column}"
        )
    op.execute(
        "UPDATE inventory.stock s SET reserved_quantity = m.reserved_quantity"
        " FROM inventory.stock_metrics m WHERE m.stock_id = s.id"
        " AND COALESCE(s.reserved_quantity, 0) = 0 AND m.reserved_quantity <> 0"
    )


def _both_documents(column: str) -> str:
    """What stock and its lifecycle say together; entries that only the split table has come first."""
    ours, theirs = f"s.{column}", f"l.{column}"
    nothing = """IN ('null', '[]', '{}', '""')"""
    return (
        f"CASE WHEN {theirs} IS NULL OR {theirs} {nothing} THEN {ours}"  # noqa: S608
        f" WHEN {ours} IS NULL OR {ours} {nothing} THEN {theirs}"
        f" WHEN {ours} @> {theirs} OR {ours} @> jsonb_build_array({theirs}) THEN {ours}"
        f" WHEN jsonb_typeof({ours}) = 'array' AND jsonb_typeof({theirs}) = 'array' THEN"
        f" (SELECT jsonb_agg(entry ORDER BY number) FROM jsonb_array_elements({theirs})"
        f" WITH ORDINALITY x (entry, number) WHERE NOT {ours} @> jsonb_build_array(entry)) || {ours}"
        f" ELSE jsonb_build_array({theirs}, {ours}) END"
    )


def _verify() -> None:
    log.info("verifying")
    _stop_if_any(
        "SELECT 'stock ' || s.n || ', view ' || v.n FROM (SELECT count(*) n FROM inventory.stock) s,"
        " (SELECT count(*) n FROM inventory.stock_metrics_view) v WHERE s.n <> v.n",
        "the view does not have as many rows as stock",
    )
    differs = " OR ".join(
        f"(f.{column} IS NOT NULL AND s.{column} IS DISTINCT FROM f.{column})" for column in MONEY
    )
    _stop_if_any(
        "SELECT s.id FROM inventory.stock s JOIN inventory.stock_financial f ON f.stock_id = s.id"  # noqa: S608
        f" WHERE {differs}",
        "money was not moved",
    )
    for table in SPLIT_TABLES:
        _stop_if_any(
            f"SELECT 'table ' || t.n || ', backup ' || b.n"  # noqa: S608
            f" FROM (SELECT count(*) n FROM inventory.{table}) t,"
            f" (SELECT count(*) n FROM inventory.{table}_backup) b WHERE t.n <> b.n",
            f"the backup of {table} is not complete",
        )


def _stop_if_any(select: str, complaint: str) -> None:
    rows = op.get_bind().execute(sa.text(select)).scalars().fetchmany(21)
    if rows:
        named = ", ".join(map(str, rows[:20])) + (", …" if len(rows) > 20 else "")
        raise sa.exc.InvalidRequestError(f"{complaint}: {named}; nothing was changed")


def _build_index(name: str, target: str) -> None:
    # A build that was cut short leaves an invalid index of that name behind.
    invalid = sa.text(
        "SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid)"
    )
    if op.get_bind().execute(invalid, {"name": f"inventory.{name}"}).scalar():
        op.execute(f"DROP INDEX CONCURRENTLY inventory.{name}")
    op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {target}")
