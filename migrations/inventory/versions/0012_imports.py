"""Remember which rows of an import were applied.

Why: a place in the order of revisions.
Previous release: nothing changes for it.
Locks: none.
"""

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Changes nothing yet."""


def downgrade() -> None:
    """Changes nothing yet."""
