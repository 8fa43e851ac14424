"""Keep thresholds and alerts of low stock.

Why: a place in the order of revisions.
Previous release: nothing changes for it.
Locks: none.
"""

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Changes nothing yet."""


def downgrade() -> None:
    """Changes nothing yet."""
