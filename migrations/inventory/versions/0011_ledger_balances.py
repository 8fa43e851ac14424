"""Let months of the ledger leave, with a balance in their place.

Why: a place in the order of revisions.
Previous release: nothing changes for it.
Locks: none.
"""

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Changes nothing yet."""


def downgrade() -> None:
    """Changes nothing yet."""
