"""Keep daily facts beside the ledger.

Why: a place in the order of revisions.
Previous release: nothing changes for it.
Locks: none.
"""

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Changes nothing yet."""


def downgrade() -> None:
    """Changes nothing yet."""
