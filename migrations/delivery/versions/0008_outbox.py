"""Keep the commands that still have to reach inventory.

Why: a command is stored with the change that asks for it, so that neither can be lost. States: 0 PENDING, 1
INFLIGHT, 2 DONE, 3 PARKED. `package_version` counts the commands of one package without gaps; they are sent
in that order.
Previous release: it does not know the table.
Locks: none; the table is new.
"""

from pathlib import Path
from typing import Any

from alembic.util import load_python_file

revision = "0008"
down_revision = "0007"

changes: Any = load_python_file(Path(__file__).parents[1], "changes.py")

TABLE = "outbox"
DEFINITION = """
    entry_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    event_id CHAR(32) NOT NULL,
    package_id BIGINT UNSIGNED NOT NULL,
    package_sn VARCHAR(64) NOT NULL,
    package_version INT UNSIGNED NOT NULL,
    command VARCHAR(16) NOT NULL,
    payload TEXT NOT NULL,
    trace VARCHAR(64) NOT NULL,
    state TINYINT NOT NULL DEFAULT 0,
    attempts INT UNSIGNED NOT NULL DEFAULT 0,
    next_attempt_time DATETIME(6) NOT NULL,
    lease_until_time DATETIME(6) NULL,
    lease_token CHAR(32) NULL,
    last_error VARCHAR(500) NULL,
    create_time DATETIME(6) NOT NULL,
    done_time DATETIME(6) NULL,
    PRIMARY KEY (entry_id),
    UNIQUE KEY uq_outbox_event (event_id),
    UNIQUE KEY uq_outbox_version (package_id, package_version),
    KEY idx_outbox_due (state, next_attempt_time),
    KEY idx_outbox_lease (state, lease_until_time),
    CONSTRAINT ck_outbox_state CHECK (state BETWEEN 0 AND 3),
    CONSTRAINT ck_outbox_lease CHECK ((state = 1) = (lease_token IS NOT NULL))
"""


def upgrade() -> None:
    """Makes the table where it is missing."""
    changes.create_table(TABLE, DEFINITION)


def downgrade() -> None:
    """Drops the table; commands that were not sent are lost, so let the relay finish first."""
    changes.drop_table(TABLE)
