"""A throwaway history of three revisions that runs on every engine and may be run again at any point."""

from pathlib import Path
from textwrap import dedent

ENV = """
from alembic import context
from servicekit.schema.migrations import run_in_env
run_in_env(context.config, context)
"""

REVISION = '''
"""{description}.

More is said below the first line.
"""
import sqlalchemy as sa
from alembic import op

revision = "{id}"
down_revision = {down!r}
serves_since = "{since}"


def upgrade():
    connection = op.get_bind()
    if not sa.inspect(connection).has_table("{table}"):
        connection.execute(sa.text("CREATE TABLE {table} (id INTEGER PRIMARY KEY)"))
    if not connection.execute(sa.text("SELECT COUNT(*) FROM {table}")).scalar():
        connection.execute(sa.text("INSERT INTO {table} VALUES (1)"))
    {more}


def downgrade():
    connection = op.get_bind()
    if sa.inspect(connection).has_table("{table}"):
        connection.execute(sa.text("DROP TABLE {table}"))
'''


def write_history(folder: Path, *, revisions: int = 3, last: str = "pass", since: str = "0001") -> Path:
    """Writes a history of tables room_1, room_2, …; the newest revision ends with the statement `last`.

    Builds of 0001 may go on beside each revision, those of `since` beside the newest.
    """
    versions = folder / "versions"
    versions.mkdir(parents=True)
    (folder / "env.py").write_text(ENV)
    for number in range(1, revisions + 1):
        script = REVISION.format(
            id=f"{number:04}",
            down=f"{number - 1:04}" if number > 1 else None,
            table=f"room_{number}",
            since=since if number == revisions else "0001",
            description=f"Add room {number}",
            more=last if number == revisions else "pass",
        )
        (versions / f"{number:04}_add_room.py").write_text(dedent(script).lstrip())
    return folder
