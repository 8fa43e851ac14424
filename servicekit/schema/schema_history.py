"""When each step of a schema was taken, recorded in the transaction of the step itself.

A database that was migrated before this record existed gets one entry, "found", with the time at which it was first
seen: an age counted from it is never too old.
"""

from datetime import datetime

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    func,
    insert,
    inspect,
    select,
)

from servicekit.persistence.engines import UtcDateTime

HISTORY_TABLE = "holdfast_schema_history"
SERVES_SINCE = "serves since"
"""The kind of entry whose name is the oldest revision whose builds may serve from then on."""

_history = Table(
    HISTORY_TABLE,
    MetaData(),
    Column("entry_id", Integer, primary_key=True),
    Column("record_time", UtcDateTime, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("name", String(64), nullable=False),
)


def prepare(connection: Connection, applied: str | None) -> None:
    """Makes the record where it is missing; `applied` is the revision that the database was found at."""
    _history.create(connection, checkfirst=True)
    if applied is not None and connection.execute(select(_history.c.entry_id).limit(1)).first() is None:
        record(connection, "found", applied)
    connection.commit()


def record(connection: Connection, kind: str, name: str) -> None:
    """Adds an entry in the caller's transaction: a revision "applied", "stamped" or "taken back", or another step."""
    connection.execute(insert(_history).values(record_time=func.now(), kind=kind, name=name))


def serve_since(connection: Connection, revision: str) -> None:
    """Lets no build of a revision before this one serve any more, in the caller's transaction; it is never lowered."""
    if (serves_since(connection) or "") < revision:
        record(connection, SERVES_SINCE, revision)


def serves_since(connection: Connection) -> str | None:
    """The oldest revision whose builds may serve; None where nobody recorded one."""
    if not inspect(connection).has_table(HISTORY_TABLE):
        return None
    query = select(func.max(_history.c.name)).where(_history.c.kind == SERVES_SINCE)
    found: str | None = connection.execute(query).scalar()
    return found


def last_time(connection: Connection, kind: str, name: str) -> datetime | None:
    """When a step of this kind and name was last taken; None if it never was, or before there was a record."""
    return _one_time(connection, _history.c.kind == kind, _history.c.name == name, latest=True)


def applied_since(connection: Connection, revision: str) -> datetime | None:
    """Since when a revision has certainly been applied, None if nobody recorded it."""
    names = _history.c.name
    return _one_time(
        connection, _history.c.kind.in_(("applied", "stamped", "found")), names == revision, latest=True
    ) or _one_time(connection, _history.c.kind.in_(("stamped", "found")), names > revision, latest=False)


def _one_time(connection: Connection, *conditions: ColumnElement[bool], latest: bool) -> datetime | None:
    if not inspect(connection).has_table(HISTORY_TABLE):
        return None
    pick = func.max if latest else func.min
    query = select(pick(_history.c.record_time)).where(*conditions)
    found: datetime | None = connection.execute(query).scalar()
    return found
