"""Let months of the ledger leave, with a balance in their place.

Why: the ledger grows for ever. A month that is archived leaves the units it brought to each stock behind, so that a
stock's quantity stays the sum of its movements and balances.
Previous release: it keeps working, and does not know the balances: let no month leave while it runs.
Locks: none that anybody waits for; the tables are new.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Creates the tables; one transaction."""
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS inventory.archived_month (
            month date PRIMARY KEY,
            file_name text NOT NULL,
            sha256 text NOT NULL,
            row_count bigint NOT NULL,
            delta_sum bigint NOT NULL,
            archive_time timestamptz NOT NULL
        )
        """
    )
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS inventory.stock_movement_balance (
            stock_id uuid NOT NULL,
            month date NOT NULL,
            quantity bigint NOT NULL,
            PRIMARY KEY (stock_id, month)
        )
        """
    )


def refuse_downgrade() -> None:
    """Stops it where months are in the archive, for their balances would be lost."""
    found = op.get_bind().execute(
        sa.text("SELECT to_char(month, 'YYYY-MM') FROM inventory.archived_month ORDER BY month")
    )
    if months := list(found.scalars()):
        raise sa.exc.InvalidRequestError(
            f"months of the ledger are archived: {', '.join(months)}; bring each back with"
            " `inventory-service archive restore` first"
        )


def downgrade() -> None:
    """Drops the tables."""
    refuse_downgrade()
    op.execute("DROP TABLE IF EXISTS inventory.stock_movement_balance")
    op.execute("DROP TABLE IF EXISTS inventory.archived_month")
