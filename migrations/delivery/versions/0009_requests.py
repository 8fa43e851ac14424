"""Remember what was answered to which request_id.

Why: a repeated call has one effect and gets the first answer.
Previous release: it does not know the table.
Locks: none; the table is new.
"""

from pathlib import Path
from typing import Any

from alembic.util import load_python_file

revision = "0009"
down_revision = "0008"

changes: Any = load_python_file(Path(__file__).parents[1], "changes.py")

TABLE = "request"
DEFINITION = """
    caller VARCHAR(128) NOT NULL,
    method VARCHAR(128) NOT NULL,
    request_id VARCHAR(64) NOT NULL,
    digest CHAR(64) NOT NULL,
    response MEDIUMBLOB NULL,
    create_time DATETIME(6) NOT NULL,
    PRIMARY KEY (caller, method, request_id),
    KEY ix_request_create_time (create_time)
"""


def upgrade() -> None:
    """Makes the table where it is missing."""
    changes.create_table(TABLE, DEFINITION)


def downgrade() -> None:
    """Drops the table; repeats of earlier requests are then protected by their natural keys only."""
    changes.drop_table(TABLE)
