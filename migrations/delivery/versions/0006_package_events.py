"""Keep the timeline of each package.

Why: it tells what was done, by whom, and proved by which photos.
Previous release: it does not know the table; its own steps leave no events.
Locks: none; the table is new.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Makes the table where it is missing. States are the stored prepare_status."""
    if sa.inspect(op.get_bind()).has_table("package_event"):
        return
    op.execute(
        sa.text("""
        CREATE TABLE package_event (
            package_id BIGINT UNSIGNED NOT NULL,
            sequence INT UNSIGNED NOT NULL,
            verb VARCHAR(32) NOT NULL,
            from_status SMALLINT NULL,
            to_status SMALLINT NOT NULL,
            actor_role VARCHAR(16) NOT NULL,
            actor_id VARCHAR(64) NOT NULL,
            driver_id BIGINT UNSIGNED NULL,
            evidence_ids TEXT NOT NULL,
            note VARCHAR(1000) NOT NULL,
            create_time DATETIME(6) NOT NULL,
            PRIMARY KEY (package_id, sequence),
            CONSTRAINT ck_package_event_sequence CHECK (sequence > 0),
            CONSTRAINT ck_package_event_status CHECK (to_status BETWEEN -1 AND 7)
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
        """)
    )


def downgrade() -> None:
    """Drops the table; the timelines are lost."""
    op.execute(sa.text("DROP TABLE IF EXISTS package_event"))
