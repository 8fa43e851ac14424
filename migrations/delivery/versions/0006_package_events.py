"""Keep the timeline of each package.

Why: it tells what was done, by whom, and proved by which photos.
Previous release: it does not know the table; its own steps leave no events.
Locks: none; the table is new.
"""

from pathlib import Path
from typing import Any

from alembic.util import load_python_file

revision = "0006"
down_revision = "0005"

changes: Any = load_python_file(Path(__file__).parents[1], "changes.py")

TABLE = "package_event"
DEFINITION = """
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
"""


def upgrade() -> None:
    """Makes the table where it is missing. States are the stored prepare_status."""
    changes.create_table(TABLE, DEFINITION)


def downgrade() -> None:
    """Drops the table; the timelines are lost."""
    changes.drop_table(TABLE)
