"""Listings and histories of the split table, looked for in the stocks one by one.

The service only adds to both, so a stock that was changed since is compared as well.
"""

from typing import Any, cast
from zoneinfo import ZoneInfo

from alembic.util import load_python_file
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.domain.legacy_documents import Conversion, lost_entries
from servicekit.schema.migrations import Schema

_NEXT = text("FETCH 1000 FROM documents")
_ADOPTED = text("SELECT to_regclass('inventory.adoption') IS NOT NULL")
_ZONE = text("SELECT time_zone FROM inventory.adoption")


async def stocks_without_their_documents(
    connection: AsyncConnection, table: str, named: int
) -> tuple[list[str], int]:
    """The first so many stocks that lack a listing or a change of status of that table, and how many lack one."""
    convert = cast(Conversion, load_python_file(Schema("inventory").location, "legacy_documents.py"))
    adopted = (await connection.execute(_ADOPTED)).scalar()
    zone = ZoneInfo((await connection.execute(_ZONE)).scalar_one() if adopted else "UTC")
    # A cursor of its own: the driver's stays open until the transaction ends, and keeps the table from being dropped.
    declare = (
        "DECLARE documents NO SCROLL CURSOR FOR SELECT s.id, l.listed_on_platforms::text AS listings,"  # noqa: S608
        " l.status_history::text AS history,"
        " s.listed_on_platforms::text AS listings_now, s.status_history::text AS history_now"
        f" FROM inventory.{table} l JOIN inventory.stock s ON s.id = l.stock_id"
        " WHERE l.listed_on_platforms IS NOT NULL OR l.status_history IS NOT NULL"
    )
    await connection.execute(text(declare))
    first: list[str] = []
    count = 0
    while rows := (await connection.execute(_NEXT)).all():
        for row in rows:
            if lost := _lost(convert, row, zone):
                count += 1
                if count <= named:
                    first.append(f"{row.id} ({'; '.join(lost)})")
    await connection.execute(text("CLOSE documents"))
    return first, count


def _lost(convert: Conversion, row: Any, zone: ZoneInfo) -> list[str]:
    try:
        return [entry for _, entry in lost_entries(convert, row, zone)]
    except convert.WrongShape as error:
        return [f"no known shape: {error}"]
