"""The database of one inventory: made with its ledger, compared with what was acknowledged, emptied again."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.bench.results import Void
from benchmarks.bench.wishes import HOT_SKU
from inventory_service.application.count_movements import count_movements
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from inventory_service.workers.fact_counting import BATCH
from servicekit.persistence.transactions import Transactions

HOT_UNITS = 1_000_000_000
UNITS = 1_000_000

_SEED = (
    text("""
        INSERT INTO inventory.stock (sku, quantity)
        SELECT 'S' || n, CAST(:units AS integer) FROM generate_series(1, CAST(:stocks AS integer)) n
        UNION ALL SELECT CAST(:hot AS text), CAST(:hot_units AS integer)
    """),
    text("""
        INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)
        SELECT now(), id, quantity, 'RECEIVED', 'benchmark' FROM inventory.stock
    """),
)
_COUNTS = text("""
    SELECT (SELECT count(*) FROM inventory.reservation) AS reservations,
        (SELECT count(*) FROM inventory.reservation WHERE state = 'COMMITTED') AS committed,
        (SELECT count(*) FROM inventory.reservation WHERE state = 'RELEASED') AS released,
        (SELECT count(*) FROM inventory.reservation_line) AS lines,
        (SELECT coalesce(sum(quantity), 0) FROM inventory.reservation_line WHERE open) AS held_units,
        (SELECT coalesce(sum(reserved_quantity), 0) FROM inventory.stock) AS reserved_units,
        (SELECT count(*) FROM inventory.request) AS requests,
        (SELECT count(*) FROM inventory.stock_movement WHERE reservation_id IS NOT NULL) AS sales
""")
_SETTLE = ("VACUUM ANALYZE inventory.stock", "CHECKPOINT")
# Without it the checks would be planned for empty tables, as which the turn found them.
_LOOK = "ANALYZE inventory.reservation, inventory.reservation_line, inventory.stock"
_CLEAR = (
    "TRUNCATE inventory.reservation, inventory.reservation_line, inventory.request",
    "UPDATE inventory.stock SET reserved_quantity = 0 WHERE reserved_quantity > 0",
    "VACUUM inventory.stock",
    # Every turn pays for the first change of a page behind a checkpoint as the others do.
    "CHECKPOINT",
)


@dataclass(frozen=True)
class Books:
    """One migrated database of stocks S1 … S`stocks` and one more that everybody wants."""

    engine: AsyncEngine
    stocks: int

    async def seed(self) -> None:
        """Fills it; returns when every movement is counted into the daily facts."""
        values = {"units": UNITS, "stocks": self.stocks, "hot": HOT_SKU, "hot_units": HOT_UNITS}
        async with self.engine.begin() as connection:
            for statement in _SEED:
                await connection.execute(statement, values)
        transactions = Transactions(self.engine, SqlUnitOfWork)
        while (await transactions.run(lambda uow: count_movements(BATCH, uow))).counted:
            pass
        await self.execute(*_SETTLE)

    async def counts(self) -> Mapping[str, int]:
        """What is in it now."""
        async with self.engine.connect() as connection:
            row = (await connection.execute(_COUNTS)).one()
        return {name: int(value) for name, value in row._mapping.items()}

    async def require(self, **expected: int) -> None:
        """Raises Void where a count is not exactly as expected."""
        await self.execute(_LOOK)
        found = await self.counts()
        wrong = {name: found[name] for name, number in expected.items() if found[name] != number}
        if wrong:
            raise Void(f"the books say {wrong}, acknowledged was {expected}")

    async def clear(self) -> None:
        """Forgets every reservation, so that the next turn finds tables as the one before did."""
        await self.execute(*_CLEAR)

    async def execute(self, *statements: str) -> None:
        """Each by itself, as some of them must be."""
        async with self.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            for statement in statements:
                await connection.exec_driver_sql(statement)
