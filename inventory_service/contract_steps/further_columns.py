"""Columns of the split tables that the consolidation carried nowhere: their values go with the last copy."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.domain.legacy import MONEY

# The keys say nothing without their row, and what was calculated is calculated anew by the view.
_ACCOUNTED_FOR = (
    *("id", "stock_id", "listed_on_platforms", "status_history", "reserved_quantity"),
    *("available_quantity", "total_cost", "expected_profit", *MONEY),
)
_COLUMNS = text(
    "SELECT attname::text, quote_ident(attname) AS quoted, attname IN (SELECT attname FROM pg_attribute"
    " WHERE attrelid = 'inventory.stock'::regclass AND attnum > 0 AND NOT attisdropped) AS in_stock"
    " FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
)


async def values_that_stock_has_not(connection: AsyncConnection, tables: Sequence[str]) -> list[str]:
    """Each further column of these tables that has values which its stock has not, and how many."""
    found = []
    for table in tables:
        for column in await connection.execute(_COLUMNS, {"table": f"inventory.{table}"}):
            if column.attname in _ACCOUNTED_FOR:
                continue
            differs = f" AND t.{column.quoted}::text IS DISTINCT FROM s.{column.quoted}::text"
            select = (
                f"SELECT count(*) FROM inventory.{table} t LEFT JOIN inventory.stock s ON s.id = t.stock_id"  # noqa: S608
                f" WHERE t.{column.quoted} IS NOT NULL{differs if column.in_stock else ''}"
            )
            # The engine's own name of a column: a colon in it is none of a parameter.
            if count := (await connection.exec_driver_sql(select)).scalar_one():
                found.append(f"{table}.{column.attname} ({count} values)")
    return found
