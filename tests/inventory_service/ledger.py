"""A ledger with months in the past: stocks, their movements, and what must stay true of both."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service.domain.ledger import LedgerMonth
from inventory_service.persistence.tables import metadata
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.transactions import Transactions
from tests.support.databases import truncate

JANUARY = LedgerMonth(2024, 1)
FEBRUARY = LedgerMonth(2024, 2)

_ENTRIES = text("""
    INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, reference, note, actor)
    SELECT CAST(:start AS timestamptz) + (n * (CAST(:end AS timestamptz) - CAST(:start AS timestamptz))) / :count,
        stock.id, CASE WHEN n / :stocks % 3 = 2 THEN -1 ELSE 2 END, 'RECEIVED', 'note ' || n, 'ünï "quoted", ✓', 'tests'
    FROM generate_series(0, :count - 1) n JOIN inventory.stock ON stock.sku = 'P' || n % :stocks
""")
_QUANTITIES = text("""
    UPDATE inventory.stock SET quantity = (SELECT COALESCE(sum(units), 0) FROM (
        SELECT stock_id, delta AS units FROM inventory.stock_movement
        UNION ALL SELECT stock_id, quantity FROM inventory.stock_movement_balance) entry
        WHERE entry.stock_id = stock.id) WHERE sku LIKE 'P%'
""")
_ENTRY = text(
    "INSERT INTO inventory.stock_movement (create_time, stock_id, delta, reason, actor)"
    " SELECT CAST(:time AS timestamptz), id, :delta, 'FOUND', 'late' FROM inventory.stock WHERE sku = :sku"
)
_QUANTITY = text("UPDATE inventory.stock SET quantity = quantity + :delta WHERE sku = :sku")
_BACK = """
    DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'inventory'::regnamespace AND relkind = 'r'
            AND (relname LIKE 'stock\\_movement\\_archived%' OR relname LIKE 'stock\\_movement\\_202_\\___'
                AND relname < 'stock_movement_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM'))
        LOOP EXECUTE format('DROP TABLE inventory.%I', name); END LOOP;
    END $$
"""


class Ledger:
    """The ledger behind the service's back."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.transactions = Transactions(engine, SqlUnitOfWork)

    async def execute(self, statement: str, **values: Any) -> None:
        """Runs one statement and commits it."""
        async with self.engine.begin() as connection:
            await connection.execute(text(statement), values)

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query finds."""
        async with self.engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(text(query))]

    async def make(self, *months: LedgerMonth) -> None:
        """Makes partitions of months."""

        async def work(uow: SqlUnitOfWork) -> None:
            for month in months:
                await uow.ledger_partitions.make(month)
                await uow.ledger_partitions.attach(month)

        await self.transactions.run(work)

    async def fill(self, month: LedgerMonth, count: int = 30, stocks: int = 3) -> None:
        """Enters movements from the month's first instant on, evenly; P0, P1 … have their sums."""
        values = {"start": month.start, "end": month.end, "count": count, "stocks": stocks}
        async with self.engine.begin() as connection:
            await connection.execute(
                text(
                    "INSERT INTO inventory.stock (sku, quantity) SELECT 'P' || n, 0"
                    " FROM generate_series(0, :stocks - 1) n ON CONFLICT DO NOTHING"
                ),
                {"stocks": stocks},
            )
            await connection.execute(_ENTRIES, values)
            await connection.execute(_QUANTITIES)

    @asynccontextmanager
    async def entering(self, sku: str, delta: int, time: datetime) -> AsyncIterator[None]:
        """A transaction that enters one movement of a time, with the quantity; it commits at the end."""
        values = {"time": time, "delta": delta, "sku": sku}
        async with self.engine.begin() as connection:
            await connection.execute(_ENTRY, values)
            await connection.execute(_QUANTITY, values)
            yield

    async def enter(self, sku: str, delta: int, time: datetime) -> None:
        """Enters one movement of a time, and changes the quantity with it."""
        async with self.entering(sku, delta, time):
            pass

    async def entries(self) -> list[tuple[Any, ...]]:
        """Every movement that is in the ledger, with its place."""
        return await self.rows(
            "SELECT tableoid::regclass::text, * FROM inventory.stock_movement ORDER BY create_time, movement_id"
        )

    async def state(self) -> dict[str, Sequence[Any]]:
        """All that an archive command could change."""
        return {
            "entries": await self.entries(),
            "balances": await self.rows("SELECT * FROM inventory.stock_movement_balance ORDER BY 1, 2"),
            "months": await self.rows("SELECT month, file_name FROM inventory.archived_month ORDER BY 1"),
            "tables": await self.tables(),
        }

    async def tables(self) -> list[str]:
        """The names of the ledger's tables, detached ones included."""
        found = await self.rows(
            "SELECT relname FROM pg_class WHERE relname LIKE 'stock\\_movement%' AND relkind IN ('r', 'p')"
            " ORDER BY 1"
        )
        return [name for (name,) in found]

    async def clear(self) -> None:
        """Forgets all movements, and drops the months of the past and what was detached."""
        await truncate(self.engine, [table.fullname for table in metadata.sorted_tables])
        async with self.engine.begin() as connection:
            await connection.exec_driver_sql(_BACK)


@asynccontextmanager
async def without_next_month(engine: AsyncEngine) -> AsyncIterator[str]:
    """The ledger lacks the partition of next month meanwhile; answers which, as YYYY_MM."""
    async with engine.begin() as connection:
        month: str = (
            await connection.execute(
                text("SELECT to_char(now() AT TIME ZONE 'UTC' + interval '1 month', 'YYYY_MM')")
            )
        ).scalar_one()
        bounds = await connection.execute(
            text("SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = :name"),
            {"name": f"stock_movement_{month}"},
        )
        bound = bounds.scalar_one()
        table = f"inventory.stock_movement_{month}"
        await connection.exec_driver_sql(f"ALTER TABLE inventory.stock_movement DETACH PARTITION {table}")
    try:
        yield month
    finally:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(
                f"ALTER TABLE inventory.stock_movement ATTACH PARTITION {table} {bound}"
            )
