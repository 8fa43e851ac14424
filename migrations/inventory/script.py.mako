"""${message}.

Why:
Previous release: does it keep working on this schema?
Locks: what is locked, and for how long?
"""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
# The oldest revision whose builds may go on beside this one: an older one where all between them is expand, this one
# where it takes away what older builds need.
serves_since = ${repr(down_revision)}


def upgrade() -> None:
    """Brings the schema forward; may be run again after a kill at any statement."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Takes it back, rows included."""
    ${downgrades if downgrades else "pass"}
