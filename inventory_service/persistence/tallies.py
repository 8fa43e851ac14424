"""What the books say twice, stock by stock."""

from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.application.ports import Tally
from inventory_service.domain.stock import SELLABLE

# Quantity and sum are read by one statement, so that a change between them cannot look like a fault, nor a month
# that is archived at the same time. The sums are taken over the range of ids: movements of a stock that nobody
# knows are found too.
_LEDGER = text("""
    WITH known AS MATERIALIZED (
        SELECT * FROM (
            (SELECT id, sku, quantity FROM inventory.stock WHERE id > :after ORDER BY id LIMIT :size)
            UNION ALL
            (SELECT stock_id, sku, 0 FROM inventory.removed_stock
             WHERE stock_id > :after ORDER BY stock_id LIMIT :size)
        ) named ORDER BY id LIMIT :size
    ), range AS (
        SELECT CASE WHEN (SELECT count(*) FROM known) < :size THEN 'ffffffff-ffff-ffff-ffff-ffffffffffff'
            ELSE (SELECT id FROM known ORDER BY id DESC LIMIT 1) END AS last
    ), entered AS (
        SELECT stock_id, sum(units) AS units FROM (
            SELECT stock_id, delta AS units FROM inventory.stock_movement
            WHERE stock_id > :after AND stock_id <= (SELECT last FROM range)
            UNION ALL
            SELECT stock_id, quantity FROM inventory.stock_movement_balance
            WHERE stock_id > :after AND stock_id <= (SELECT last FROM range)
        ) entry GROUP BY stock_id
    )
    SELECT COALESCE(id, stock_id) AS id, COALESCE(sku, stock_id::text) AS sku,
        COALESCE(quantity, 0) AS recorded, COALESCE(units, 0) AS counted
    FROM known FULL JOIN entered ON stock_id = id ORDER BY 1
""")

LONGER = text("SELECT set_config('statement_timeout', '60s', true)")
"""A stock can have more movements and holds than are summed within the limit of a call's statements."""

# Joined as a whole: a sum looked up for each stock reads all lines again and again while the engine takes them for few.
_HOLDS = text("""
    SELECT stock.id, stock.sku, stock.reserved_quantity AS recorded,
        COALESCE(sum(line.quantity) FILTER (WHERE reservation.state = 'HELD'), 0) AS counted
    FROM (
        SELECT id, sku, reserved_quantity FROM inventory.stock WHERE id > :after ORDER BY id LIMIT :size
    ) stock
    LEFT JOIN inventory.reservation_line line ON line.stock_id = stock.id AND line.open
    LEFT JOIN inventory.reservation USING (reservation_id)
    GROUP BY stock.id, stock.sku, stock.reserved_quantity ORDER BY stock.id
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

# What the schema's judge of low stock decides, said again. Above the threshold and within the margin both are right.
_ALERTS = text("""
    SELECT id, sku, alerts AS recorded, CASE
        WHEN applying THEN alerts
        WHEN threshold IS NULL OR available > threshold + (threshold + 9) / 10 THEN 0
        WHEN available <= threshold THEN 1
        ELSE alerts END AS counted
    FROM (
        SELECT stock.id, stock.sku, stock.quantity - stock.reserved_quantity AS available,
            (alert.alert_id IS NOT NULL)::integer AS alerts,
            own.stock_id IS NULL AND everywhere.applied_to IS NOT NULL AS applying,
            CASE WHEN stock.status = ANY (CAST(:sellable AS text[]))
            THEN COALESCE(own.threshold, everywhere.threshold) END AS threshold
        FROM (SELECT * FROM inventory.stock WHERE id > :after ORDER BY id LIMIT :size) stock
        LEFT JOIN inventory.stock_threshold own ON own.stock_id = stock.id
        LEFT JOIN inventory.stock_threshold_default everywhere ON true
        LEFT JOIN inventory.stock_alert alert ON alert.stock_id = stock.id AND alert.end_time IS NULL
    ) judged ORDER BY id
""").bindparams(sellable=[status.value for status in SELLABLE])


class SqlTallies:
    """Sums over one connection; each method answers at most `size` stocks whose ids come after `after`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def ledger(self, after: UUID, size: int) -> list[Tally]:
        return await self._tallies(_LEDGER, after, size)

    async def holds(self, after: UUID, size: int) -> list[Tally]:
        return await self._tallies(_HOLDS, after, size)

    async def lines(self, after: UUID, size: int) -> list[Tally]:
        return await self._tallies(_LINES, after, size)

    async def alerts(self, after: UUID, size: int) -> list[Tally]:
        return await self._tallies(_ALERTS, after, size)

    async def _tallies(self, query: TextClause, after: UUID, size: int) -> list[Tally]:
        await self._connection.execute(LONGER)
        rows = await self._connection.execute(query, {"after": after, "size": size})
        return [Tally(row.id, row.sku, row.recorded, row.counted) for row in rows]
