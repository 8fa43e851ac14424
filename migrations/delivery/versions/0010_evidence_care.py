"""Say of a photo whether its camera named its offset from UTC, and find photos by their bytes and by their idleness.

Why: a capture time without an offset is only what the camera's clock showed; a damaged photo is mended from
another record of the same bytes; photos that prove nothing are removed once they are old.
Previous release: its INSERTs go on, as the new column has a default.
Locks: the column is added in an instant, the indexes are built online.
"""

from pathlib import Path
from typing import Any

from alembic.util import load_python_file

revision = "0010"
down_revision = "0009"

changes: Any = load_python_file(Path(__file__).parents[1], "changes.py")

TABLE = "evidence"
COLUMNS = {"capture_offset_known": "TINYINT NOT NULL DEFAULT 0"}
INDEXES = (
    changes.Index("idx_evidence_sha256", ("sha256",)),
    changes.Index("idx_evidence_unused", ("used_sha256", "create_time")),
)


def upgrade() -> None:
    """One statement for the column, then one for each missing index."""
    changes.add_columns(TABLE, COLUMNS)
    for index in INDEXES:
        changes.add_index(TABLE, index)


def downgrade() -> None:
    """Drops the indexes and the column; what it said is lost."""
    for index in INDEXES:
        changes.drop_index(TABLE, index)
    changes.drop_columns(TABLE, list(COLUMNS))
