"""Lay out the stock tables as the system before Phase 2 had them.

Why: a fresh database takes the same way as one that has been in use for years.
Previous release: it is this schema.
Locks: none that anybody could wait for; the tables are new.
"""

from alembic import op

revision = "0001"
down_revision = None

STOCK = """
CREATE TABLE IF NOT EXISTS inventory.stock (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    product_id uuid NOT NULL,
    size_id uuid NOT NULL,
    supplier_id uuid,
    ean varchar(13),
    quantity integer NOT NULL DEFAULT 1,
    purchase_price numeric(10, 2),
    gross_purchase_price numeric(10, 2),
    vat_amount numeric(10, 2),
    vat_rate numeric(5, 2),
    purchase_date timestamptz,
    delivery_date timestamptz,
    status varchar(50) NOT NULL DEFAULT 'in_stock',
    detailed_status varchar(50),
    notes text,
    external_ids jsonb,
    shelf_life_days integer,
    profit_per_shelf_day numeric(10, 2),
    roi_percentage numeric(5, 2),
    location varchar(50),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
)
"""

# The tables that Phase 2 consolidates into stock.
FINANCIAL = """
CREATE TABLE IF NOT EXISTS inventory.stock_financial (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    stock_id uuid NOT NULL,
    purchase_price numeric(10, 2),
    gross_purchase_price numeric(10, 2),
    vat_amount numeric(10, 2),
    vat_rate numeric(5, 2),
    profit_per_shelf_day numeric(10, 2),
    roi_percentage numeric(5, 2)
)
"""
LIFECYCLE = """
CREATE TABLE IF NOT EXISTS inventory.stock_lifecycle (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    stock_id uuid NOT NULL,
    listed_on_platforms jsonb,
    status_history jsonb
)
"""
METRICS = """
CREATE TABLE IF NOT EXISTS inventory.stock_metrics (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    stock_id uuid NOT NULL,
    available_quantity integer,
    reserved_quantity integer,
    total_cost numeric(12, 2),
    expected_profit numeric(12, 2)
)
"""


def upgrade() -> None:
    """Creates the schema and its four tables."""
    op.execute("CREATE SCHEMA IF NOT EXISTS inventory")
    for table in (STOCK, FINANCIAL, LIFECYCLE, METRICS):
        op.execute(table)


def downgrade() -> None:
    """Drops the four tables. What else stands in the schema stays."""
    for table in ("stock_metrics", "stock_lifecycle", "stock_financial", "stock"):
        op.drop_table(table, schema="inventory", if_exists=True)
