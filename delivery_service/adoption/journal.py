"""What the database itself remembers of its adoption, so that one that was cut short can be finished.

MySQL and MariaDB commit at each change of a table. So the tables of the journal are made first and say nothing
while they are empty; the one row of `adoption`, written in one transaction, is the beginning. `adoption_step` then
says of each step how far it came, in the transaction of the rows themselves: no row is converted twice. Both stay.
`adoption_row` (a digest of each row as it was) is there while the adoption is under way.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption.run import Dialect
from servicekit.adoption import finish

JOURNAL = "adoption"
STEPS = "adoption_step"
ROWS = "adoption_row"
RESTORE = "adoption_restore"
"""Which backup is being put back; it is there only while that lasts."""


@dataclass(frozen=True, kw_only=True)
class Entry(finish.Entry):
    """An adoption: what was found and asked for; `kept` are each table's columns whose values must not change."""

    dialect: Dialect
    zone: ZoneInfo
    kept: Mapping[str, Sequence[str]]


_TABLE = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
_CREATE = (
    "CREATE TABLE adoption (begin_time DATETIME(6) NOT NULL, shape VARCHAR(64) NOT NULL,"
    " revision VARCHAR(32) NOT NULL, dialect VARCHAR(16) NOT NULL, time_zone VARCHAR(64) NOT NULL,"
    " backup VARCHAR(1000) NULL, kept LONGTEXT NOT NULL, totals LONGTEXT NOT NULL,"
    f" finish_time DATETIME(6) NULL) {_TABLE}",
    "CREATE TABLE adoption_step (name VARCHAR(64) NOT NULL PRIMARY KEY,"
    f" after_key DECIMAL(20) NOT NULL, done TINYINT NOT NULL) {_TABLE}",
    "CREATE TABLE adoption_row (table_name VARCHAR(64) NOT NULL, id DECIMAL(20) NOT NULL,"
    f" digest BINARY(32) NOT NULL, PRIMARY KEY (table_name, id)) {_TABLE}",
)
_THERE = text(
    "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE()"
)
_BEGIN = text(
    "INSERT INTO adoption (begin_time, shape, revision, dialect, time_zone, backup, kept, totals)"
    " VALUES (UTC_TIMESTAMP(6), :shape, :revision, :dialect, :time_zone, :backup, :kept, :totals)"
)
_READ = text("SELECT begin_time, shape, revision, dialect, time_zone, backup, kept, totals FROM adoption")
_FINISH = text("UPDATE adoption SET finish_time = UTC_TIMESTAMP(6)")
_FINISHED = text("SELECT finish_time IS NOT NULL FROM adoption")


async def prepare(connection: AsyncConnection) -> None:
    """Makes the tables anew, empty: nothing is begun yet."""
    await drop(connection, (JOURNAL, STEPS, ROWS, RESTORE))
    for statement in _CREATE:
        await connection.exec_driver_sql(statement)


async def begin(
    connection: AsyncConnection,
    *,
    shape: str,
    revision: str,
    dialect: Dialect,
    time_zone: str,
    backup: str | None,
    kept: Mapping[str, Sequence[str]],
    totals: Mapping[str, str],
) -> None:
    """Writes the first entry, in the transaction of the caller."""
    values = {"shape": shape, "revision": revision, "dialect": dialect.value, "time_zone": time_zone}
    lists = {"kept": json.dumps(dict(kept)), "totals": json.dumps(dict(totals))}
    await connection.execute(_BEGIN, values | {"backup": backup} | lists)


async def read(connection: AsyncConnection) -> Entry:
    """The adoption that was begun in this database."""
    row = (await connection.execute(_READ)).one()
    await connection.rollback()
    return Entry(
        begin_time=row.begin_time,
        shape=row.shape,
        revision=row.revision,
        dialect=Dialect(row.dialect),
        zone=ZoneInfo(row.time_zone),
        backup=row.backup,
        kept=json.loads(row.kept),
        totals=json.loads(row.totals),
    )


async def record_end(connection: AsyncConnection) -> None:
    """Says that all is done, in the transaction of the caller."""
    await connection.execute(_FINISH)


async def tidy(connection: AsyncConnection) -> None:
    """Drops what was needed until the end, where the end was reached."""
    if (await connection.execute(_FINISHED)).scalar():
        await drop(connection, (ROWS,))


async def drop(connection: AsyncConnection, tables: Iterable[str]) -> None:
    """Drops those of the tables that are there."""
    there = set((await connection.execute(_THERE)).scalars())
    for table in tables:
        if table in there:
            statement = f"DROP TABLE {table}"
            await connection.exec_driver_sql(statement)
