"""What of an adoption keeps this database from being moved or served."""

from typing import Any

from sqlalchemy import Select, column, select, table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.adoption.journal import JOURNAL
from inventory_service.adoption.shape import Kind
from servicekit.schema.migrations import VERSION_TABLE

_FOUND = text(
    "SELECT to_regclass(:journal) IS NOT NULL AS journal, to_regclass(:versions) IS NOT NULL AS versions,"
    " (SELECT COUNT(*) = 2 FROM pg_attribute WHERE attrelid = to_regclass('inventory.stock')"
    " AND attname IN ('id', 'quantity') AND NOT attisdropped) AS stock"
)
_UNFINISHED = select(column("finish_time").is_(None)).select_from(table("adoption", schema="inventory"))
_REVISION: Select[Any] = select(column("version_num")).select_from(table(VERSION_TABLE))


async def hindrance(connection: AsyncConnection) -> str:
    """Why this database may neither be moved nor served, and what comes first; nothing where it may."""
    found = (await connection.execute(_FOUND, {"journal": JOURNAL, "versions": VERSION_TABLE})).one()
    if found.journal and (await connection.execute(_UNFINISHED)).scalar():
        return (
            f"this database {Kind.BEGUN.value}, or is being adopted now;"
            " finish that with: inventory-service migrate adopt"
        )
    # The first revision and its record are one transaction: stock without a record is none of its making.
    if found.stock and not (found.versions and (await connection.execute(_REVISION)).scalar()):
        return "this database is one of the legacy system; take it over with: inventory-service migrate adopt"
    return ""
