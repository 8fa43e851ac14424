"""Remember which rows of an import were applied.

Why: an import that was interrupted and is repeated has the effect of one.
Previous release: it does not know the tables.
Locks: none; the tables are new.
"""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Creates the tables; what a stream has said so far need not outlive a crash, and is not logged."""
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS inventory.imported_row (
            import_id text COLLATE "C" NOT NULL,
            sku text COLLATE "C" NOT NULL,
            import_time timestamptz NOT NULL,
            PRIMARY KEY (import_id, sku)
        )
        """
    )
    op.execute(
        "CREATE INDEX IF NOT EXISTS ix_imported_row_import_time ON inventory.imported_row (import_time)"
    )
    op.execute(
        """
        CREATE UNLOGGED TABLE IF NOT EXISTS inventory.import_stream_line (
            stream_id uuid NOT NULL,
            sku text COLLATE "C" NOT NULL,
            line bigint NOT NULL,
            create_time timestamptz NOT NULL,
            PRIMARY KEY (stream_id, sku)
        )
        """
    )


def downgrade() -> None:
    """Drops the tables; repeats of earlier imports are then new imports."""
    op.execute("DROP TABLE IF EXISTS inventory.import_stream_line")
    op.execute("DROP TABLE IF EXISTS inventory.imported_row")
