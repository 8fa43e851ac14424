"""The memory of imports in `imported_row` and `import_stream_line`."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.persistence.tables import import_stream_line, imported_row

# In the order of the keys, so that two imports that meet wait for each other in one order.
_CLAIM = text("""
    INSERT INTO inventory.imported_row (import_id, sku, import_time)
    SELECT :import_id, sku, CAST(:now AS timestamptz) FROM unnest(CAST(:skus AS text[])) AS sku ORDER BY sku
    ON CONFLICT DO NOTHING
    RETURNING sku
""")

_NOTE_LINES = text("""
    INSERT INTO inventory.import_stream_line (stream_id, sku, line, create_time)
    SELECT CAST(:stream_id AS uuid), sku, line, CAST(:now AS timestamptz)
    FROM unnest(CAST(:skus AS text[]), CAST(:lines AS bigint[])) AS named (sku, line)
    ON CONFLICT DO NOTHING
    RETURNING sku
""")

_FORGET_ROWS = text("""
    DELETE FROM inventory.imported_row WHERE (import_id, sku) IN (
        SELECT import_id, sku FROM inventory.imported_row WHERE import_time < :before
        LIMIT :most FOR UPDATE SKIP LOCKED
    )
""")

_FORGET_LINES = text("""
    DELETE FROM inventory.import_stream_line WHERE (stream_id, sku) IN (
        SELECT stream_id, sku FROM inventory.import_stream_line WHERE create_time < :before
        LIMIT :most FOR UPDATE SKIP LOCKED
    )
""")


class SqlImports:
    """The memory of imports over one connection; `now` is when its rows are noted."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def claim(self, import_id: str, skus: Sequence[str]) -> Collection[str]:
        values = {"import_id": import_id, "skus": list(skus), "now": self._now}
        return set((await self._connection.execute(_CLAIM, values)).scalars())

    async def list_new(self, import_id: str, skus: Sequence[str]) -> Collection[str]:
        columns = imported_row.c
        query = select(columns.sku).where(columns.import_id == import_id, columns.sku.in_(skus))
        return set(skus) - set((await self._connection.execute(query)).scalars())

    async def give_back(self, import_id: str, skus: Sequence[str]) -> None:
        columns = imported_row.c
        await self._connection.execute(
            delete(imported_row).where(columns.import_id == import_id, columns.sku.in_(skus))
        )

    async def note_lines(self, stream_id: UUID, lines: Mapping[str, int]) -> Mapping[str, int]:
        values = {
            "stream_id": stream_id,
            "skus": list(lines),
            "lines": list(lines.values()),
            "now": self._now,
        }
        noted = set((await self._connection.execute(_NOTE_LINES, values)).scalars())
        if len(noted) == len(lines):
            return {}
        columns = import_stream_line.c
        query = select(columns.sku, columns.line).where(
            columns.stream_id == stream_id, columns.sku.in_(lines.keys() - noted)
        )
        return {row.sku: row.line for row in await self._connection.execute(query)}

    async def end_stream(self, stream_id: UUID) -> None:
        await self._connection.execute(
            delete(import_stream_line).where(import_stream_line.c.stream_id == stream_id)
        )

    async def forget(self, rows_older_than: timedelta, lines_older_than: timedelta, most: int) -> int:
        rows = await self._connection.execute(
            _FORGET_ROWS, {"before": self._now - rows_older_than, "most": most}
        )
        lines = await self._connection.execute(
            _FORGET_LINES, {"before": self._now - lines_older_than, "most": most}
        )
        return rows.rowcount + lines.rowcount
