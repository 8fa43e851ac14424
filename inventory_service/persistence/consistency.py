"""Whether the books agree with themselves: each check walks the stocks in chunks of one snapshot each."""

from collections.abc import AsyncIterator, Mapping
from functools import partial
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.ops import ConsistencyCheck, Finding

CHUNK = 500

# Quantity and sum are read by one statement, so that a change between them cannot look like a fault.
_LEDGER = text("""
    SELECT stock.id, stock.sku, stock.quantity AS recorded, COALESCE(
        (SELECT sum(delta) FROM inventory.stock_movement movement WHERE movement.stock_id = stock.id), 0
    ) AS counted
    FROM inventory.stock WHERE stock.id > :after ORDER BY stock.id LIMIT :chunk
""")

_HOLDS = text("""
    SELECT stock.id, stock.sku, stock.reserved_quantity AS recorded, COALESCE(
        (SELECT sum(line.quantity) FROM inventory.reservation_line line
         JOIN inventory.reservation USING (reservation_id)
         WHERE line.stock_id = stock.id AND line.open AND reservation.state = 'HELD'), 0
    ) AS counted
    FROM inventory.stock WHERE stock.id > :after ORDER BY stock.id LIMIT :chunk
""")

# A line that stays open after its reservation was resolved would be taken for a hold.
_LINES = text("""
    SELECT stock.id, stock.sku, COALESCE(sum(line.quantity), 0) AS recorded,
        COALESCE(sum(line.quantity) FILTER (WHERE reservation.state = 'HELD'), 0) AS counted
    FROM (SELECT id, sku FROM inventory.stock WHERE id > :after ORDER BY id LIMIT :chunk) stock
    LEFT JOIN inventory.reservation_line line ON line.stock_id = stock.id AND line.open
    LEFT JOIN inventory.reservation USING (reservation_id)
    GROUP BY stock.id, stock.sku ORDER BY stock.id
""")


def consistency_checks(engine: AsyncEngine) -> Mapping[str, ConsistencyCheck]:
    """The checks by name."""
    return {
        "ledger": partial(_compare, engine, "ledger", _LEDGER, "quantity", "the sum of its movements"),
        "holds": partial(_compare, engine, "holds", _HOLDS, "reserved_quantity", "the sum of its open holds"),
        "lines": partial(_compare, engine, "lines", _LINES, "open_lines", "the sum of those of open holds"),
    }


async def _compare(
    engine: AsyncEngine, check: str, chunk_of_stocks: TextClause, column: str, counted: str
) -> AsyncIterator[Finding]:
    after = UUID(int=0)
    while True:
        # A connection a chunk: whoever reads the findings slowly keeps no transaction open.
        async with engine.connect() as connection:
            rows = (await connection.execute(chunk_of_stocks, {"after": after, "chunk": CHUNK})).all()
        for row in rows:
            if row.recorded != row.counted:
                yield Finding(
                    check,
                    row.sku,
                    f"{column} is {row.recorded}, {counted} is {row.counted}",
                    {column: str(row.recorded), "counted": str(row.counted)},
                )
        if len(rows) < CHUNK:
            return
        after = rows[-1].id
