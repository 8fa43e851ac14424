"""Keep a record of each repair.

Why: who had what repaired, and what was found before, is told for ever, also of what belongs to no package.
Previous release: it does not know the table.
Locks: none; the table is new.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Makes the table where it is missing."""
    if sa.inspect(op.get_bind()).has_table("repair"):
        return
    op.execute(
        sa.text("""
        CREATE TABLE repair (
            repair_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
            caller VARCHAR(128) NOT NULL,
            request_id VARCHAR(64) NOT NULL,
            check_name VARCHAR(32) NOT NULL,
            subject VARCHAR(255) NOT NULL,
            description VARCHAR(500) NOT NULL,
            facts TEXT NOT NULL,
            repair VARCHAR(500) NOT NULL,
            trace VARCHAR(64) NOT NULL,
            create_time DATETIME(6) NOT NULL,
            PRIMARY KEY (repair_id),
            KEY idx_repair_request (caller, request_id, repair_id),
            KEY idx_repair_subject (subject)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
        """)
    )


def downgrade() -> None:
    """Drops the table; the record of repairs is lost, save what the timelines tell."""
    op.execute(sa.text("DROP TABLE IF EXISTS repair"))
