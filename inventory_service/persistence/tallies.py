"""What the books say twice, stock by stock."""

from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.application.ports import Tally

# Quantity and sum are read by one statement, so that a change between them cannot look like a fault.
_LEDGER = text("""
    SELECT stock.id, stock.sku, stock.quantity AS recorded, COALESCE(
        (SELECT sum(delta) FROM inventory.stock_movement movement WHERE movement.stock_id = stock.id), 0
    ) AS counted
    FROM inventory.stock WHERE stock.id > :after ORDER BY stock.id LIMIT :size
""")

_HOLDS = text("""
    SELECT stock.id, stock.sku, stock.reserved_quantity AS recorded, COALESCE(
        (SELECT sum(line.quantity) FROM inventory.reservation_line line
         JOIN inventory.reservation USING (reservation_id)
         WHERE line.stock_id = stock.id AND line.open AND reservation.state = 'HELD'), 0
    ) AS counted
    FROM inventory.stock WHERE stock.id > :after ORDER BY stock.id LIMIT :size
""")

# A line that stays open after its reservation was resolved would be taken for a hold.
_LINES = text("""
    SELECT stock.id, stock.sku, COALESCE(sum(line.quantity), 0) AS recorded,
        COALESCE(sum(line.quantity) FILTER (WHERE reservation.state = 'HELD'), 0) AS counted
    FROM (SELECT id, sku FROM inventory.stock WHERE id > :after ORDER BY id LIMIT :size) stock
    LEFT JOIN inventory.reservation_line line ON line.stock_id = stock.id AND line.open
    LEFT JOIN inventory.reservation USING (reservation_id)
    GROUP BY stock.id, stock.sku ORDER BY stock.id
""")


class SqlTallies:
    """Sums over one connection; each method answers at most `size` stocks whose ids come after `after`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def ledger(self, after: UUID, size: int) -> list[Tally]:
        """`quantity`, and the sum of the movements."""
        return await self._tallies(_LEDGER, after, size)

    async def holds(self, after: UUID, size: int) -> list[Tally]:
        """`reserved_quantity`, and the sum of the lines of open holds."""
        return await self._tallies(_HOLDS, after, size)

    async def lines(self, after: UUID, size: int) -> list[Tally]:
        """The sum of the lines that are marked open, and of those whose reservation is."""
        return await self._tallies(_LINES, after, size)

    async def _tallies(self, query: TextClause, after: UUID, size: int) -> list[Tally]:
        rows = await self._connection.execute(query, {"after": after, "size": size})
        return [Tally(row.id, row.sku, row.recorded, row.counted) for row in rows]
