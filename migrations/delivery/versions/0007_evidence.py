"""Keep a record of each photo.

Why: it tells where a photo belongs and whether its bytes prove a transition already. `used_sha256` is the
digest once the photo is used, else NULL: its unique key lets the same bytes prove one transition only,
however often they were uploaded.
Previous release: it does not know the table.
Locks: none; the table is new.
"""

from pathlib import Path
from typing import Any

from alembic.util import load_python_file

revision = "0007"
down_revision = "0006"

changes: Any = load_python_file(Path(__file__).parents[1], "changes.py")

TABLE = "evidence"
DEFINITION = """
    evidence_id VARCHAR(64) NOT NULL,
    package_id BIGINT UNSIGNED NOT NULL,
    package_sn VARCHAR(64) NOT NULL,
    kind VARCHAR(16) NOT NULL,
    file_name VARCHAR(255) NOT NULL,
    media_type VARCHAR(32) NOT NULL,
    size_bytes INT UNSIGNED NOT NULL,
    sha256 CHAR(64) NOT NULL,
    used_sha256 CHAR(64) NULL,
    used_sequence INT UNSIGNED NULL,
    width INT UNSIGNED NOT NULL,
    height INT UNSIGNED NOT NULL,
    capture_time DATETIME(6) NULL,
    latitude DECIMAL(9,6) NULL,
    longitude DECIMAL(9,6) NULL,
    uploader VARCHAR(128) NOT NULL,
    create_time DATETIME(6) NOT NULL,
    PRIMARY KEY (evidence_id),
    UNIQUE KEY uq_evidence_content (package_id, kind, sha256),
    UNIQUE KEY uq_evidence_used (used_sha256),
    KEY idx_evidence_package (package_id, create_time, evidence_id),
    CONSTRAINT ck_evidence_size CHECK (size_bytes BETWEEN 1 AND 4194304),
    CONSTRAINT ck_evidence_used CHECK (used_sha256 IS NULL OR used_sha256 = sha256)
"""


def upgrade() -> None:
    """Makes the table where it is missing."""
    changes.create_table(TABLE, DEFINITION)


def downgrade() -> None:
    """Drops the table; the photos stay on disk, without a word of what they prove."""
    changes.drop_table(TABLE)
