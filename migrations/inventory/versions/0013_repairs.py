"""Keep a record of each repair.

Why: who had what repaired, and what was found before, is told for ever.
Previous release: it does not know the table.
Locks: none; the table is new.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
serves_since = "0012"


def upgrade() -> None:
    """Creates the table where it is missing."""
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS inventory.repair (
            repair_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            caller varchar(128) NOT NULL,
            request_id varchar(64) NOT NULL,
            check_name text NOT NULL,
            subject text COLLATE "C" NOT NULL,
            description text NOT NULL,
            facts jsonb NOT NULL,
            repair text NOT NULL,
            trace text NOT NULL,
            create_time timestamptz NOT NULL
        )
        """
    )
    op.execute(
        "CREATE INDEX IF NOT EXISTS ix_repair_request ON inventory.repair (caller, request_id, repair_id)"
    )
    op.execute("CREATE INDEX IF NOT EXISTS ix_repair_subject ON inventory.repair (subject)")


def downgrade() -> None:
    """Drops the table; the record of repairs is lost."""
    op.execute("DROP TABLE IF EXISTS inventory.repair")
