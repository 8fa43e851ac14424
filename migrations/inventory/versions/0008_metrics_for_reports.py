"""Give the metrics view what the reports need.

Why: a place in the order of revisions.
Previous release: nothing changes for it.
Locks: none.
"""

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Changes nothing yet."""


def downgrade() -> None:
    """Changes nothing yet."""
