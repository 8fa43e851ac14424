"""${message}.

Why: …
Safe beside the previous release: …
How long it locks: …
"""

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One DDL statement a step; each step looks first whether it is done."""


def downgrade() -> None:
    """Takes it back."""
