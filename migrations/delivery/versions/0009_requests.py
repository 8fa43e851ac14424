"""Remember what was answered to which request_id.

Why: a repeated call has one effect and gets the first answer.
Previous release: it does not know the table.
Locks: none; the table is new.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Makes the table where it is missing."""
    if sa.inspect(op.get_bind()).has_table("request"):
        return
    op.execute(
        sa.text("""
        CREATE TABLE request (
            caller VARCHAR(128) NOT NULL,
            method VARCHAR(128) NOT NULL,
            request_id VARCHAR(64) NOT NULL,
            digest CHAR(64) NOT NULL,
            response MEDIUMBLOB NULL,
            create_time DATETIME(6) NOT NULL,
            PRIMARY KEY (caller, method, request_id),
            KEY ix_request_create_time (create_time)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
        """)
    )


def downgrade() -> None:
    """Drops the table; repeats of earlier requests are then protected by their natural keys only."""
    op.execute(sa.text("DROP TABLE IF EXISTS request"))
