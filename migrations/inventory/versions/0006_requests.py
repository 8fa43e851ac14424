"""Remember what was answered to which request_id.

Why: a repeated call has one effect and gets the first answer.
Previous release: it does not know the table.
Locks: none; the table is new.
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Creates the table."""
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS inventory.request (
            caller varchar(128) NOT NULL,
            method varchar(128) NOT NULL,
            request_id varchar(64) NOT NULL,
            digest char(64) NOT NULL,
            response bytea,
            create_time timestamptz NOT NULL,
            PRIMARY KEY (caller, method, request_id)
        )
        """
    )
    op.execute(
        "CREATE INDEX IF NOT EXISTS ix_inventory_request_create_time ON inventory.request (create_time)"
    )


def downgrade() -> None:
    """Drops the table; repeats of earlier calls are then new calls."""
    op.execute("DROP TABLE IF EXISTS inventory.request")
