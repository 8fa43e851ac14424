"""What an index costs those who write: the same changes without and with it, in turns."""

import statistics
import time
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

CHANGES = 10_000
ROUNDS = 3

# One transaction a change, as callers have it; the commit is not waited for, so that the disk is not what is measured.
_LOOP = """
CREATE OR REPLACE PROCEDURE legacy.change_stocks(ids uuid[]) LANGUAGE plpgsql AS $$
DECLARE one uuid;
BEGIN
    FOREACH one IN ARRAY ids LOOP
        UPDATE inventory.stock SET {change} WHERE id = one;
        COMMIT;
    END LOOP;
END
$$
"""

COUNTER = "reserved_quantity = CASE WHEN reserved_quantity > 0 THEN 0 ELSE 1 END"
HISTORY = (
    "status_history = jsonb_build_array(jsonb_build_object('from_status', 'in_stock', 'to_status', 'presale',"
    " 'changed_at', clock_timestamp(), 'reason', 'measured'))"
)
LISTING = (
    "listed_on_platforms = jsonb_build_array(jsonb_build_object('platform', 'goat', 'status', 'active',"
    " 'listing_id', clock_timestamp()))"
)
SUBJECTS = (
    ("idx_stock_reserved", "units held", COUNTER),
    ("idx_stock_status_history", "units held", COUNTER),
    ("idx_stock_status_history", "history", HISTORY),
    ("idx_stock_listed_platforms", "listings", LISTING),
)


@dataclass(frozen=True)
class WriteCost:
    """Changes a second without and with an index, and how many rows stayed in their page's chain (HOT)."""

    index: str
    what: str
    without: float
    having: float
    hot_without: float
    hot_having: float

    @property
    def line(self) -> str:
        """One line of the table."""
        return (
            f"{self.index:27} changing {self.what:10} {self.without:9.0f} {self.having:9.0f}"
            f"  with/without {self.having / self.without:5.2f}"
            f"  HOT {self.hot_without:4.0%} → {self.hot_having:4.0%}"
        )


async def index_costs(engine: AsyncEngine) -> list[WriteCost]:
    """Measures each of the seed's indexes on stock."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("SET synchronous_commit = off"))
        return [await _cost(connection, *subject) for subject in SUBJECTS]


async def _cost(connection: AsyncConnection, index: str, what: str, change: str) -> WriteCost:
    await connection.exec_driver_sql(_LOOP.format(change=change))
    found = await connection.execute(
        text("SELECT pg_get_indexdef(to_regclass(:name))"), {"name": f"inventory.{index}"}
    )
    definition = found.scalar_one()
    rates: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    for _ in range(ROUNDS):
        for with_index in (False, True):
            await connection.exec_driver_sql(
                definition if with_index else f"DROP INDEX IF EXISTS inventory.{index}"
            )
            await connection.exec_driver_sql("VACUUM inventory.stock")
            rates[with_index].append(await _rate(connection))
    without, having = ([rate for rate, _ in rates[side]] for side in (False, True))
    hot_without, hot_having = (statistics.median(hot for _, hot in rates[side]) for side in (False, True))
    return WriteCost(
        index, what, statistics.median(without), statistics.median(having), hot_without, hot_having
    )


async def _rate(connection: AsyncConnection) -> tuple[float, float]:
    """Changes a second, and the share of them that needed no index entry."""
    before = await _updates(connection)
    ids = "(SELECT array_agg(id) FROM (SELECT id FROM inventory.stock ORDER BY random() LIMIT {}) chosen)"
    picked = (await connection.exec_driver_sql(f"SELECT {ids.format(CHANGES)}")).scalar_one()
    begin = time.perf_counter()
    await connection.execute(text("CALL legacy.change_stocks(:ids)"), {"ids": picked})
    seconds = time.perf_counter() - begin
    after = await _updates(connection)
    return len(picked) / seconds, (after[1] - before[1]) / max(after[0] - before[0], 1)


async def _updates(connection: AsyncConnection) -> tuple[int, int]:
    await connection.execute(text("SELECT pg_stat_force_next_flush()"))
    row = (
        await connection.execute(
            text(
                "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables"
                " WHERE relid = 'inventory.stock'::regclass"
            )
        )
    ).one()
    return row[0], row[1]
