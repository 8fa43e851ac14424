"""How the indexes of the service's database are used, as far as MySQL or MariaDB tells it."""

from collections.abc import Mapping

from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.operations.index_usage import IndexUsage
from servicekit.persistence.conflicts import access_denied

_INDEXES = text(
    "SELECT TABLE_NAME AS table_name, INDEX_NAME AS index_name, MAX(CARDINALITY) AS cardinality"
    " FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() GROUP BY 1, 2 ORDER BY 1, 2"
)
_COUNTERS = text("SHOW VARIABLES WHERE Variable_name IN ('performance_schema', 'userstat')")
_WAITS = text(
    "SELECT OBJECT_NAME, INDEX_NAME, COUNT_READ FROM performance_schema.table_io_waits_summary_by_index_usage"
    " WHERE OBJECT_SCHEMA = DATABASE() AND INDEX_NAME IS NOT NULL"
)
_USERSTAT = text(
    "SELECT TABLE_NAME, INDEX_NAME, ROWS_READ FROM information_schema.INDEX_STATISTICS"
    " WHERE TABLE_SCHEMA = DATABASE()"
)
_SIZES = text(
    "SELECT table_name, index_name, stat_value * @@innodb_page_size FROM mysql.innodb_index_stats"
    " WHERE database_name = DATABASE() AND stat_name = 'size'"
)

Figures = Mapping[tuple[str, str], int]
"""One figure for each index, by the names of table and index."""


async def index_usage(connection: AsyncConnection) -> list[IndexUsage]:
    """Every index of the database, by table and name."""
    indexes = (await connection.execute(_INDEXES)).all()
    reads, no_reads = await _reads(connection)
    sizes, no_sizes = await _figures(connection, _SIZES, "mysql.innodb_index_stats")
    why = {
        "reads": no_reads,
        "size_bytes": no_sizes or "the engine has not counted its pages yet",
        "cardinality": "the table was not analyzed yet",
    }
    return [
        IndexUsage(
            row.table_name,
            row.index_name,
            # What counts reads has no row for an index that never served one.
            None if reads is None else reads.get((row.table_name, row.index_name), 0),
            (sizes or {}).get((row.table_name, row.index_name)),
            row.cardinality,
            why,
        )
        for row in indexes
    ]


async def _reads(connection: AsyncConnection) -> tuple[Figures | None, str]:
    switches = {row.Variable_name: row.Value for row in await connection.execute(_COUNTERS)}
    if switches.get("performance_schema") == "ON":
        return await _figures(connection, _WAITS, "performance_schema")
    if switches.get("userstat") == "ON":
        return await _figures(connection, _USERSTAT, "information_schema.INDEX_STATISTICS")
    ways = " and ".join(f"{name}={value}" for name, value in sorted(switches.items()))
    return None, f"the engine counts none with {ways}"


async def _figures(
    connection: AsyncConnection, statement: TextClause, source: str
) -> tuple[Figures | None, str]:
    """The figures, or None and why there are none."""
    try:
        rows = (await connection.execute(statement)).all()
    except DBAPIError as error:
        if not access_denied(error):
            raise
        return None, f"the service's account may not read {source}"
    return {(table, index): int(figure) for table, index, figure in rows}, ""
