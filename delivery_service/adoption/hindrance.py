"""What of an adoption, or of the way back from one, keeps this database from being moved or served."""

from typing import Any

from sqlalchemy import Executable, Select, bindparam, column, literal, select, table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption.journal import JOURNAL, RESTORE
from delivery_service.adoption.shape import Kind
from servicekit.schema.migrations import VERSION_TABLE
from servicekit.schema.schema_history import HISTORY_TABLE

PACKAGES = "tigu_prepare_goods"

# By name alone: engines answer that without opening any table, and servers ask again and again.
_THERE = text(
    "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE()"
    " AND table_name IN :names"
).bindparams(bindparam("names", [RESTORE, JOURNAL, VERSION_TABLE, HISTORY_TABLE, PACKAGES], expanding=True))
_HAS_COLUMNS = text(
    "SELECT COUNT(*) = 2 FROM information_schema.columns WHERE table_schema = DATABASE()"
    " AND table_name = :name AND column_name IN (:first, :second)"
)
_IS_JOURNAL = _HAS_COLUMNS.bindparams(name=JOURNAL, first="finish_time", second="dialect")
_IS_LEGACY = _HAS_COLUMNS.bindparams(name=PACKAGES, first="id", second="order_ids")
_RESTORING: Select[Any] = select(column("backup")).select_from(table(RESTORE)).limit(1)
_UNFINISHED = select(column("finish_time").is_(None)).select_from(table(JOURNAL))
_REVISION: Select[Any] = select(column("version_num")).select_from(table(VERSION_TABLE))
_ANY_PACKAGE = select(literal(1)).select_from(table(PACKAGES)).limit(1)


async def hindrance(connection: AsyncConnection) -> str:
    """Why this database may neither be moved nor served, and what comes first; nothing where it may."""
    there = set((await connection.execute(_THERE)).scalars())

    async def says(query: Executable) -> Any:
        return (await connection.execute(query)).scalar()

    if RESTORE in there and (backup := await says(_RESTORING)):
        return (
            f"this database {Kind.RESTORING.value}; finish that with:"
            f" delivery-service migrate restore {backup} --discard-data"
        )
    if JOURNAL in there and await says(_IS_JOURNAL) and await says(_UNFINISHED):
        return (
            f"this database {Kind.BEGUN.value}, or is being adopted now;"
            " finish that with: delivery-service migrate adopt"
        )
    if PACKAGES not in there or (VERSION_TABLE in there and await says(_REVISION)):
        return ""
    # A first upgrade that was cut short has left tables as well, and all of them empty, beside its record.
    if (HISTORY_TABLE in there and not await says(_ANY_PACKAGE)) or not await says(_IS_LEGACY):
        return ""
    return "this database is one of the legacy system; take it over with: delivery-service migrate adopt"
