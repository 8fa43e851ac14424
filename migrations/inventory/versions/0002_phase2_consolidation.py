"""Consolidate the split tables into stock (Phase 2).

Why: quantities held, listings and history stand in one row; metrics come from a view.
Previous release: it keeps working. Columns are only added, and the split tables stay, with a backup beside them. What
it writes to the split tables from now on is not taken over any more; the contract step that drops them names it.
Locks: ADD COLUMN for an instant; rows of stock that take values over, 1,000 at a time; all indexes on tables are
built CONCURRENTLY.

Where the split tables and stock contradict each other, the revision stops before any change and names the rows.
Once the view is there the stocks have taken over all, and what they say since is not undone: a run after that only
makes what is missing.
"""

import logging
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import op
from alembic.util import load_python_file

revision = "0002"
down_revision = "0001"

log = logging.getLogger("migrations.inventory.0002")

online: Any = load_python_file(Path(__file__).parents[1], "online.py")
documents: Any = load_python_file(Path(__file__).parents[1], "legacy_documents.py")

SPLIT_TABLES = ("stock_financial", "stock_lifecycle", "stock_metrics")
MONEY = (
    "purchase_price",
    "gross_purchase_price",
    "vat_amount",
    "vat_rate",
    "profit_per_shelf_day",
    "roi_percentage",
)

COLUMNS = {
    "listed_on_platforms": "jsonb",
    "status_history": "jsonb",
    "reserved_quantity": "integer DEFAULT 0",
}

INDEXES = {
    "idx_stock_reserved": "inventory.stock (id, reserved_quantity) WHERE reserved_quantity > 0",
    "idx_stock_listed_platforms": (
        "inventory.stock USING gin (listed_on_platforms) WHERE listed_on_platforms IS NOT NULL"
    ),
    "idx_stock_status_history": (
        "inventory.stock USING gin (status_history) WHERE status_history IS NOT NULL"
    ),
}

DOCUMENTS = ("listed_on_platforms", "status_history")

_COLUMNS = sa.text(
    "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
    " WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped"
)

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
    """Checks, backs up, adds, moves, builds the view and the indexes, verifies."""
    with op.get_context().autocommit_block():
        begin = op.get_bind().execute(sa.text("SELECT now()")).scalar_one()
        taken_over = _is_taken_over()
        if not taken_over:
            _stop_at_contradictions()
        for table in SPLIT_TABLES:
            _back_up(table)
            online.build_index("CREATE INDEX", f"ix_{table}_stock", f"inventory.{table} (stock_id)")
        for column, kind in COLUMNS.items():
            online.instantly(f"ALTER TABLE inventory.stock ADD COLUMN IF NOT EXISTS {column} {kind}")
        if not taken_over:
            online.in_batches("taken over from the split tables", _differs(), _take_over())
        _make_view()
        for name, target in INDEXES.items():
            online.build_index("CREATE INDEX", name, target)
        _verify_view(begin)
        if not taken_over:
            _verify_values(begin)


def refuse_downgrade() -> None:
    """Stops it without the split tables."""
    if gone := [table for table in SPLIT_TABLES if not _exists(table)]:
        raise sa.exc.InvalidRequestError(
            f"{', '.join(gone)} were dropped: bring them back by `migrate contract restore-split-tables`, or, if"
            " their backups are gone too, stay at 0002"
        )


def downgrade() -> None:
    """Gives the split tables their values back and drops what was added."""
    refuse_downgrade()
    op.execute("DROP FUNCTION IF EXISTS inventory.refresh_stock_metrics()")
    op.execute("DROP MATERIALIZED VIEW IF EXISTS inventory.stock_metrics_view")
    op.execute("DELETE FROM inventory.stock_lifecycle l USING inventory.stock s WHERE s.id = l.stock_id")
    op.execute(
        "INSERT INTO inventory.stock_lifecycle (stock_id, listed_on_platforms, status_history)"
        " SELECT id, listed_on_platforms, status_history FROM inventory.stock"
        " WHERE listed_on_platforms IS NOT NULL OR status_history IS NOT NULL"
    )
    op.execute(
        f"UPDATE inventory.stock_financial f SET {', '.join(f'{column} = s.{column}' for column in MONEY)}"  # noqa: S608
        " FROM inventory.stock s WHERE s.id = f.stock_id"
        f" AND ({' OR '.join(f'f.{column} IS DISTINCT FROM s.{column}' for column in MONEY)})"
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
        op.execute(f"DROP INDEX IF EXISTS inventory.ix_{table}_stock")


def _is_taken_over() -> bool:
    """The view is made last, of values that the stocks have."""
    columns = sa.text(
        "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('inventory.stock')"
        " AND attname = ANY(:names) AND NOT attisdropped"
    )
    there = op.get_bind().execute(columns, {"names": list(COLUMNS)}).scalar_one()
    return there == len(COLUMNS) and _exists("stock_metrics_view")


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
    held = sa.text(
        "SELECT 1 FROM pg_attribute WHERE attrelid = 'inventory.stock'::regclass"
        " AND attname = 'reserved_quantity' AND NOT attisdropped"
    )
    if op.get_bind().execute(held).first():
        _stop_if_any(
            "SELECT s.id FROM inventory.stock s JOIN inventory.stock_metrics m ON m.stock_id = s.id"
            " WHERE s.reserved_quantity <> 0 AND m.reserved_quantity <> s.reserved_quantity",
            "stock and stock_metrics disagree on reserved units",
        )


def _back_up(table: str) -> None:
    log.info("backing up %s", table)
    there = _exists(f"{table}_backup")
    op.execute(f"CREATE TABLE IF NOT EXISTS inventory.{table}_backup AS TABLE inventory.{table}")
    if there:
        # A backup of an earlier attempt keeps what it has and gets what came since. Rows are compared as documents:
        # some types know no equality, and a backup by others may have its columns in another order, or json for jsonb.
        columns = op.get_bind().execute(_COLUMNS, {"table": f"inventory.{table}"}).scalar_one()
        add = (
            f"INSERT INTO inventory.{table}_backup ({columns}) SELECT {columns} FROM inventory.{table} t"  # noqa: S608
            f" WHERE NOT EXISTS (SELECT FROM inventory.{table}_backup b WHERE to_jsonb(b) = to_jsonb(t))"
        )
        op.get_bind().exec_driver_sql(add)


def _differs() -> str:
    """Whether a split table knows of a stock `s` what its row does not say yet."""
    money = " OR ".join(f"(s.{column} IS NULL AND f.{column} IS NOT NULL)" for column in MONEY)
    told = " OR ".join(f"{documents.together(column)} IS DISTINCT FROM s.{column}" for column in DOCUMENTS)
    held = "COALESCE(s.reserved_quantity, 0) = 0 AND m.reserved_quantity <> 0"
    # Scalar subqueries: one look into an index for each stock, and never a join of whole tables for each batch.
    return " OR ".join(
        f"COALESCE((SELECT {what} FROM inventory.{table} {alias}"  # noqa: S608
        f" WHERE {alias}.stock_id = s.id LIMIT 1), false)"
        for what, table, alias in (
            (money, "stock_financial", "f"),
            (told, "stock_lifecycle", "l"),
            (held, "stock_metrics", "m"),
        )
    )


def _take_over() -> str:
    taken = [f"{column} = COALESCE(s.{column}, f.{column})" for column in MONEY]
    taken += [f"{column} = {documents.together(column)}" for column in DOCUMENTS]
    taken.append("reserved_quantity = COALESCE(NULLIF(s.reserved_quantity, 0), m.reserved_quantity, 0)")
    return (
        f"UPDATE inventory.stock s SET {', '.join(taken)} FROM batch"  # noqa: S608
        " LEFT JOIN inventory.stock_financial f ON f.stock_id = batch.id"
        " LEFT JOIN inventory.stock_lifecycle l ON l.stock_id = batch.id"
        " LEFT JOIN inventory.stock_metrics m ON m.stock_id = batch.id"
        " WHERE s.id = batch.id RETURNING 1"
    )


def _make_view() -> None:
    log.info("creating stock_metrics_view")
    there = _exists("stock_metrics_view")
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
    if there:
        _refresh_view()


def _refresh_view() -> None:
    populated = sa.text(
        "SELECT ispopulated FROM pg_matviews"
        " WHERE schemaname = 'inventory' AND matviewname = 'stock_metrics_view'"
    )
    beside_readers = "CONCURRENTLY" if op.get_bind().execute(populated).scalar() else ""
    op.execute(f"REFRESH MATERIALIZED VIEW {beside_readers} inventory.stock_metrics_view")


def _verify_view(begin: datetime) -> None:
    log.info("verifying")
    missing = (
        "SELECT s.id FROM inventory.stock s LEFT JOIN inventory.stock_metrics_view v ON v.stock_id = s.id"
        " WHERE v.stock_id IS NULL AND s.created_at < :begin"
    )
    if op.get_bind().execute(sa.text(f"{missing} LIMIT 1"), {"begin": begin}).first():
        # A writer may give its new rows a time of long ago.
        _refresh_view()
    _stop_if_any(missing, "the view does not show every stock", begin)


def _verify_values(begin: datetime) -> None:
    """Compares what nobody has changed since the revision began."""
    differs = " OR ".join(
        f"(f.{column} IS NOT NULL AND s.{column} IS DISTINCT FROM f.{column})" for column in MONEY
    )
    _stop_if_any(
        "SELECT s.id FROM inventory.stock s JOIN inventory.stock_financial f ON f.stock_id = s.id"  # noqa: S608
        f" WHERE s.updated_at < :begin AND ({differs})",
        "money was not taken over",
        begin,
    )
    _stop_if_any(
        "SELECT s.id FROM inventory.stock s JOIN inventory.stock_metrics m ON m.stock_id = s.id"
        " WHERE s.updated_at < :begin AND m.reserved_quantity <> s.reserved_quantity",
        "held units were not taken over",
        begin,
    )


def _exists(relation: str) -> bool:
    found = sa.text("SELECT to_regclass(:name) IS NOT NULL")
    return bool(op.get_bind().execute(found, {"name": f"inventory.{relation}"}).scalar())


def _stop_if_any(select: str, complaint: str, begin: datetime | None = None) -> None:
    rows = op.get_bind().execute(sa.text(select), {"begin": begin} if begin else {}).scalars().fetchmany(21)
    if rows:
        named = ", ".join(map(str, rows[:20])) + (", …" if len(rows) > 20 else "")
        rest = "every value is where it was; mend them and run it again" if begin else "nothing was changed"
        raise sa.exc.InvalidRequestError(f"{complaint}: {named}; {rest}")
