"""What the database itself remembers of its adoption, so that one that was cut short can be finished.

`adoption` has one row and stays. `adoption_stock` (each stock as it was) and `adoption_sku` (the codes asked for)
are there while the adoption is under way; revision 0003 reads the codes and the time zone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.adoption import finish

JOURNAL = "inventory.adoption"
STOCKS = "inventory.adoption_stock"
SKUS = "inventory.adoption_sku"

_CREATE = text(
    "CREATE TABLE inventory.adoption (begin_time timestamptz NOT NULL DEFAULT now(), shape text NOT NULL,"
    " revision text NOT NULL, time_zone text NOT NULL, backup text, analytics text[], kept text[] NOT NULL,"
    " totals json NOT NULL, finish_time timestamptz)"
)
_BEGIN = text(
    "INSERT INTO inventory.adoption (shape, revision, time_zone, backup, analytics, kept, totals) VALUES (:shape,"
    " :revision, :time_zone, :backup, (SELECT COALESCE(array_agg(relname::text), '{}') FROM pg_class"
    " WHERE relnamespace = to_regnamespace('analytics') AND relkind IN ('r', 'p', 'v', 'm', 'S')),"
    " CAST(:kept AS text[]), CAST(:totals AS json))"
)
_READ = text("SELECT begin_time, shape, revision, time_zone, backup, kept, totals FROM inventory.adoption")
_FINISH = text("UPDATE inventory.adoption SET finish_time = now()")
_DROP = text("DROP TABLE IF EXISTS inventory.adoption_stock, inventory.adoption_sku")


@dataclass(frozen=True, kw_only=True)
class Entry(finish.Entry):
    """An adoption; `kept` are the columns of stock that must not change."""

    zone: ZoneInfo
    kept: Sequence[str]


async def begin(
    connection: AsyncConnection,
    *,
    shape: str,
    revision: str,
    time_zone: str,
    backup: str | None,
    kept: Sequence[str],
    totals: Mapping[str, str],
) -> None:
    """Writes the first entry, in the transaction of the caller."""
    values: dict[str, Any] = {"shape": shape, "revision": revision, "time_zone": time_zone, "backup": backup}
    await connection.execute(_CREATE)
    await connection.execute(_BEGIN, values | {"kept": list(kept), "totals": json.dumps(dict(totals))})


async def read(connection: AsyncConnection) -> Entry:
    """The adoption that was begun in this database."""
    row = (await connection.execute(_READ)).one()
    await connection.rollback()
    return Entry(
        begin_time=row.begin_time,
        shape=row.shape,
        revision=row.revision,
        zone=ZoneInfo(row.time_zone),
        backup=row.backup,
        kept=row.kept,
        totals=row.totals,
    )


async def record_end(connection: AsyncConnection) -> None:
    """Says that all is done and drops what was needed until then, in the transaction of the caller."""
    await connection.execute(_FINISH)
    await connection.execute(_DROP)
