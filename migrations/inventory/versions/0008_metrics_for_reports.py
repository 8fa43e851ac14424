"""Give the metrics view what the reports need.

Why: reports name stocks by sku and sum them by status from the view alone, and say of when its figures are.
Previous release: it keeps working; the columns it knows stay where they are. Until it is gone a refresh that does
not go through refresh_stock_metrics() leaves the recorded time behind, so that the view seems older than it is.
Locks: the new view is built beside the old one; readers of the view wait for the instant in which the names change
hands. A reader that takes longer than half a second makes the revision give way and begin again.

Whoever built upon the view (a view of a view) stops the revision by name. Privileges are handed on.
"""

import logging

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

log = logging.getLogger("migrations.inventory.0008")

SEED_COLUMNS = """
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
"""
SEED_VIEW = f"SELECT {SEED_COLUMNS} FROM inventory.stock s"  # noqa: S608
VIEW = f"SELECT {SEED_COLUMNS}, s.sku, s.status FROM inventory.stock s"  # noqa: S608

SEED_INDEXES = {
    "idx_stock_metrics_view_stock_id": "CREATE UNIQUE INDEX {name} ON {view} (stock_id)",
    "idx_stock_metrics_view_available": (
        "CREATE INDEX {name} ON {view} (available_quantity) WHERE available_quantity > 0"
    ),
}
INDEXES = SEED_INDEXES | {"ix_stock_metrics_view_sku": "CREATE UNIQUE INDEX {name} ON {view} (sku)"}

SEED_REFRESH = """
CREATE OR REPLACE FUNCTION inventory.refresh_stock_metrics() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    REFRESH MATERIALIZED VIEW CONCURRENTLY inventory.stock_metrics_view;
END
$$
"""

# now() is the view's last_calculated_at too. Whoever finds another at it leaves the work to that one: a wait here
# would make the recorded time older than what the view shows. A view without rows knows no CONCURRENTLY.
REFRESH = """
CREATE OR REPLACE FUNCTION inventory.refresh_stock_metrics() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('holdfast.inventory.metrics')) THEN
        RETURN;
    END IF;
    IF (SELECT relispopulated FROM pg_class WHERE oid = 'inventory.stock_metrics_view'::regclass) THEN
        REFRESH MATERIALIZED VIEW CONCURRENTLY inventory.stock_metrics_view;
    ELSE
        REFRESH MATERIALIZED VIEW inventory.stock_metrics_view;
    END IF;
    INSERT INTO inventory.stock_metrics_refresh (refresh_time) VALUES (now())
    ON CONFLICT (only_row) DO UPDATE SET refresh_time = excluded.refresh_time;
END
$$
"""

GRANTS = sa.text("""
    SELECT format('GRANT %s ON inventory.stock_metrics_view_next TO %s%s', privilege_type,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
        CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM pg_class, aclexplode(relacl)
    WHERE pg_class.oid = 'inventory.stock_metrics_view'::regclass AND grantee <> relowner
""")

BUILT_UPON_IT = sa.text("""
    SELECT DISTINCT ev_class::regclass::text FROM pg_rewrite
    JOIN pg_depend ON pg_depend.classid = 'pg_rewrite'::regclass AND pg_depend.objid = pg_rewrite.oid
    WHERE refobjid = 'inventory.stock_metrics_view'::regclass AND ev_class <> refobjid ORDER BY 1
""")


def upgrade() -> None:
    """Builds the wider view, puts it into the old one's place and notes its time; one transaction."""
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS inventory.stock_metrics_refresh (
            only_row boolean PRIMARY KEY DEFAULT true,
            refresh_time timestamptz,
            scheduled boolean NOT NULL DEFAULT false,
            CONSTRAINT ck_stock_metrics_refresh_only_row CHECK (only_row)
        )
        """
    )
    _replace_view(VIEW, INDEXES)
    op.execute(REFRESH)
    op.execute(
        "INSERT INTO inventory.stock_metrics_refresh (refresh_time) VALUES (now())"
        " ON CONFLICT (only_row) DO UPDATE SET refresh_time = excluded.refresh_time"
    )


def refuse_downgrade() -> None:
    """Stops it where views are built upon the view."""
    _refuse_dependents()


def downgrade() -> None:
    """Puts the seed's view back in the same way."""
    _replace_view(SEED_VIEW, SEED_INDEXES)
    op.execute(SEED_REFRESH)
    op.execute("DROP TABLE IF EXISTS inventory.stock_metrics_refresh")


def _refuse_dependents() -> None:
    if dependents := op.get_bind().execute(BUILT_UPON_IT).scalars().all():
        raise sa.exc.InvalidRequestError(
            f"views built upon stock_metrics_view must be dropped first, and made again after: {', '.join(dependents)}"
        )


def _replace_view(definition: str, indexes: dict[str, str]) -> None:
    _refuse_dependents()
    log.info("building stock_metrics_view anew, beside the old one")
    op.execute(f"CREATE MATERIALIZED VIEW inventory.stock_metrics_view_next AS {definition}")
    for name, create in indexes.items():
        op.execute(create.format(name=f"{name}_next", view="inventory.stock_metrics_view_next"))
    op.execute("ANALYZE inventory.stock_metrics_view_next")
    for grant in op.get_bind().execute(GRANTS).scalars().all():
        op.execute(grant)
    log.info("putting it into the old one's place")
    op.execute("SET LOCAL lock_timeout = '500ms'")
    op.execute("DROP MATERIALIZED VIEW inventory.stock_metrics_view")
    op.execute("ALTER MATERIALIZED VIEW inventory.stock_metrics_view_next RENAME TO stock_metrics_view")
    for name in indexes:
        op.execute(f"ALTER INDEX inventory.{name}_next RENAME TO {name}")
