"""Whether what would be removed is needed still, looked at afresh before each removal.

The money and the holds of a stock that was changed since the consolidation are not compared with what the split tables
said of them then; one that is gone must have been removed by DeleteStock. Of a database that was adopted after Phase 2
nothing is compared with its stocks: they are right, and where split tables said another thing was told then.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.contract_steps.documents import stocks_without_their_documents
from inventory_service.contract_steps.standing import Standing
from inventory_service.domain.legacy import MONEY, SPLIT_TABLES

NAMED = 20
"""So many rows of a complaint are named."""

_MONEY_DIFFERS = " OR ".join(
    f"(split.{name} IS NOT NULL AND stock.{name} IS DISTINCT FROM split.{name})" for name in MONEY
)

# What was held when the reservations were made is a line of theirs, also after it was released or committed.
_UNITS_MISSING = """
    split.reserved_quantity > stock.reserved_quantity AND split.reserved_quantity > COALESCE((
        SELECT sum(line.quantity) FROM inventory.reservation_line line
        JOIN inventory.reservation USING (reservation_id)
        WHERE line.stock_id = stock.id AND reservation.created_by = 'migration'), 0)
"""

_NOT_ACCOUNTED_FOR = {
    "stock_financial": ("money that is not in stock", _MONEY_DIFFERS),
    "stock_metrics": ("held units that neither stock nor a reservation has", _UNITS_MISSING),
}

# A hold that grows keeps its times: an open one may have grown a moment ago, however old it is.
_OTHER_WRITERS = text("""
WITH hold AS (
    SELECT stock_id, quantity, open, resolve_time
    FROM inventory.reservation JOIN inventory.reservation_line USING (reservation_id) WHERE holder = 'legacy'
)
SELECT
    (SELECT max(create_time) FROM inventory.stock_movement
        WHERE actor = 'legacy' AND create_time > now() - interval '14 days') AS moved,
    (SELECT sum(quantity) FROM hold WHERE open) AS held,
    ARRAY(SELECT DISTINCT stock_id::text FROM hold WHERE open ORDER BY 1 LIMIT :named) AS stocks,
    (SELECT max(resolve_time) FROM hold WHERE resolve_time > now() - interval '14 days') AS resolved
""")


async def differences_from_backups(connection: AsyncConnection, tables: Sequence[str]) -> list[str]:
    """What was written to the split tables after they were backed up, or is missing there; a sentence a table."""
    complaints = []
    for table in tables:
        backup = f"{table}_backup"
        # As documents: some types know no equality, and a backup by others may have its columns in another order.
        rows, kept = (f"SELECT to_jsonb(t) AS document FROM inventory.{name} t" for name in (table, backup))  # noqa: S608
        found = await _stocks(
            connection,
            "SELECT CAST(document ->> 'stock_id' AS uuid) AS stock_id FROM"  # noqa: S608
            f" (({rows} EXCEPT ALL {kept}) UNION ALL ({kept} EXCEPT ALL {rows})) differing",
        )
        if found:
            complaints.append(f"{table} is not what its backup is; rows of the stocks {found}")
    return complaints


async def not_accounted_for(connection: AsyncConnection, standing: Standing, suffix: str = "") -> list[str]:
    """What the split tables (or with the suffix "_backup" these) say and the stocks do not; a sentence a kind."""
    if standing.outrun:
        return []
    complaints = []
    for table in SPLIT_TABLES:
        place = f"{table}{suffix}"
        complaints += await _values_that_are_missing(connection, table, place, standing.since)
        gone = await _stocks(
            connection,
            f"SELECT split.stock_id FROM inventory.{place} split"  # noqa: S608
            " WHERE NOT EXISTS (SELECT FROM inventory.stock WHERE stock.id = split.stock_id)"
            " AND NOT EXISTS (SELECT FROM inventory.removed_stock gone WHERE gone.stock_id = split.stock_id)",
        )
        if gone:
            complaints.append(f"{place} has rows of stocks that are gone without a trace: {gone}")
    return complaints


async def _values_that_are_missing(
    connection: AsyncConnection, table: str, place: str, since: datetime | None
) -> list[str]:
    if table == "stock_lifecycle":
        complaint = "listings or history that are not in stock"
        first, count = await stocks_without_their_documents(connection, place, NAMED)
        found = ", ".join(first) + (f" and {count - NAMED} more" if count > NAMED else "")
    else:
        complaint, condition = _NOT_ACCOUNTED_FOR[table]
        found = await _stocks(
            connection,
            f"SELECT split.stock_id FROM inventory.{place} split"  # noqa: S608
            " JOIN inventory.stock ON stock.id = split.stock_id"
            f" WHERE stock.updated_at <= :since AND ({condition})",
            since=since,
        )
    return [f"{place} has {complaint}: {found}"] if found else []


async def other_writers(connection: AsyncConnection) -> list[str]:
    """What an application other than the service did in the last 14 days, or holds still; a sentence a kind."""
    found = (await connection.execute(_OTHER_WRITERS, {"named": NAMED})).one()
    complaints = []
    if found.moved:
        complaints.append(
            f"another application than the service changed a quantity at {_minute(found.moved)}"
        )
    if found.held:
        complaints.append(
            f"{found.held} units held by another application than the service are still open, on the stocks"
            f" {', '.join(found.stocks)}: commit or release these reservations of the holder legacy"
        )
    if found.resolved:
        complaints.append(
            f"units held by another application than the service ended at {_minute(found.resolved)}"
        )
    return complaints


async def _stocks(connection: AsyncConnection, rows: str, **values: datetime | None) -> str:
    """Names the first of the stocks that a query finds and counts the rest; empty where it finds none."""
    query = (
        f"WITH found AS MATERIALIZED (SELECT DISTINCT stock_id FROM ({rows}) rows)"  # noqa: S608
        f" SELECT stock_id, count(*) OVER () FROM found ORDER BY stock_id LIMIT {NAMED}"
    )
    found = (await connection.execute(text(query), values)).all()
    if not found:
        return ""
    more = found[0][1] - len(found)
    return ", ".join(str(row[0]) for row in found) + (f" and {more} more" if more else "")


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
