"""Say of a photo whether its camera named its offset from UTC, and find photos by their bytes and by their idleness.

Why: a capture time without an offset is only what the camera's clock showed; a damaged photo is mended from
another record of the same bytes; photos that prove nothing are removed once they are old.
Previous release: its INSERTs go on, as the new column has a default.
Locks: the column is added in an instant, the indexes are built online.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

TABLE = "evidence"
COLUMN = "capture_offset_known"
INDEXES = {
    "idx_evidence_sha256": "(sha256)",
    "idx_evidence_unused": "(used_sha256, create_time)",
}


def upgrade() -> None:
    """One statement for the column, then one for each missing index."""
    if COLUMN not in _columns():
        op.execute(
            sa.text(f"ALTER TABLE {TABLE} ADD COLUMN {COLUMN} TINYINT NOT NULL DEFAULT 0, ALGORITHM=INSTANT")
        )
    for name, columns in INDEXES.items():
        if name not in _indexes():
            op.execute(
                sa.text(f"ALTER TABLE {TABLE} ADD INDEX {name} {columns}, ALGORITHM=INPLACE, LOCK=NONE")
            )


def downgrade() -> None:
    """Drops the indexes and the column; what it said is lost."""
    for name in INDEXES:
        if name in _indexes():
            op.execute(sa.text(f"ALTER TABLE {TABLE} DROP INDEX {name}, ALGORITHM=INPLACE, LOCK=NONE"))
    if COLUMN in _columns():
        op.execute(sa.text(f"ALTER TABLE {TABLE} DROP COLUMN {COLUMN}, ALGORITHM=INPLACE, LOCK=NONE"))


def _columns() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(TABLE)}


def _indexes() -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(TABLE)}
