"""How the indexes of the service's schemas are used, as Postgres tells it."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.persistence.tables import metadata
from servicekit.operations.index_usage import IndexUsage

# A unique index has as many values as entries. Of others Postgres estimates the values of a whole column, which is
# not what an index of several columns, or of some rows only, has in it.
_INDEXES = text("""
    SELECT used.schemaname || '.' || used.relname AS table_name, used.indexrelname AS index_name,
        used.idx_scan AS reads, pg_relation_size(used.indexrelid) AS size_bytes,
        CASE WHEN entries.reltuples < 0 OR rows.reltuples < 0 THEN NULL
            WHEN definition.indisunique THEN entries.reltuples
            WHEN definition.indnkeyatts > 1 OR definition.indpred IS NOT NULL THEN NULL
            WHEN estimate.n_distinct < 0 THEN -estimate.n_distinct * rows.reltuples
            ELSE estimate.n_distinct END::bigint AS cardinality,
        entries.reltuples < 0 OR rows.reltuples < 0 AS never_analyzed
    FROM pg_stat_user_indexes used
    JOIN pg_index definition ON definition.indexrelid = used.indexrelid
    JOIN pg_class entries ON entries.oid = used.indexrelid
    JOIN pg_class rows ON rows.oid = used.relid
    LEFT JOIN pg_attribute first ON first.attrelid = used.relid AND first.attnum = definition.indkey[0]
    LEFT JOIN pg_stats estimate ON estimate.schemaname = used.schemaname AND estimate.tablename = used.relname
        AND estimate.attname = first.attname
    WHERE used.schemaname = ANY(:schemas)
    ORDER BY 1, 2
""")
_SCHEMAS = sorted({table.schema or "public" for table in metadata.sorted_tables})


async def index_usage(connection: AsyncConnection) -> list[IndexUsage]:
    """Every index of the schemas, those of each partition for themselves, by table and name."""
    rows = await connection.execute(_INDEXES, {"schemas": _SCHEMAS})
    return [
        IndexUsage(
            row.table_name,
            row.index_name,
            row.reads,
            row.size_bytes,
            row.cardinality,
            {
                "cardinality": "the table was not analyzed yet"
                if row.never_analyzed
                else "Postgres estimates none for expressions, for several columns, or for a part of the rows"
            },
        )
        for row in rows
    ]
