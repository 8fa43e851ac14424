"""Keep a record of each repair.

Why: who had what repaired, and what was found before, is told for ever, also of what belongs to no package.
Previous release: it does not know the table.
Locks: none; the table is new.
"""

from pathlib import Path
from typing import Any

from alembic.util import load_python_file

revision = "0011"
down_revision = "0010"

changes: Any = load_python_file(Path(__file__).parents[1], "changes.py")

TABLE = "repair"
DEFINITION = """
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
"""


def upgrade() -> None:
    """Makes the table where it is missing."""
    changes.create_table(TABLE, DEFINITION)


def downgrade() -> None:
    """Drops the table; the record of repairs is lost, save what the timelines tell."""
    changes.drop_table(TABLE)
