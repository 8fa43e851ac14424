"""Every named query uses its indexes, on tables that are large enough to get it wrong."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inventory_service.persistence.named_queries import NAMED_QUERIES, Sample, sample
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.operations.query_plans import explain
from servicekit.persistence.engines import create_engine
from servicekit.schema.migrations import Schema
from tests.support.databases import fresh_database

LARGE = ("stock", "reservation", "stock_metrics_view")
A_PAGE = 220
"""Rows of a page of 51, with what belongs to them."""
A_BATCH = 4_000
"""Rows of a batch of 200 of a check or a worker, with what belongs to them."""
MOST_ROWS = {
    "holds-due": A_BATCH,
    # Every tenth reservation is open, so a page of 51 takes ten times as many.
    "reservations-held": 1_000,
    # By what is due: 320 here, of which a service that runs leaves next to nothing.
    "holds-due-of-stock": 1_300,
    "ledger-checked": A_BATCH,
    "holds-checked": A_BATCH,
    "lines-checked": A_BATCH,
}
FILL = """
INSERT INTO inventory.stock (id, sku, quantity, reserved_quantity, listed_on_platforms, created_at)
SELECT gen_random_uuid(), 'SKU-' || n, 10, 2,
    CASE WHEN n % 100 = 0 THEN '[{"platform": "goat", "status": "active"}]'::jsonb END,
    now() - n * interval '1 second'
FROM generate_series(1, 8000) n;
INSERT INTO inventory.reservation (reservation_id, holder, state, created_by, create_time, expire_time, resolve_time)
SELECT 'R' || n, 'order:' || n % 4000, CASE WHEN n % 10 = 0 THEN 'HELD' ELSE 'COMMITTED' END, 'tests',
    now() - n * interval '1 second', CASE WHEN n % 50 = 0 THEN now() - n * interval '1 second' END,
    CASE WHEN n % 10 = 0 THEN NULL ELSE now() END
FROM generate_series(1, 16000) n;
INSERT INTO inventory.reservation_line (reservation_id, stock_id, quantity, open)
SELECT r.reservation_id, s.id, 2, r.state = 'HELD' FROM inventory.reservation r
JOIN inventory.stock s ON s.sku = 'SKU-' || (substr(r.reservation_id, 2)::int % 8000 + 1);
INSERT INTO inventory.stock_movement (stock_id, delta, reason, reference, reservation_id, actor, create_time)
SELECT l.stock_id, -2, 'SOLD', '', l.reservation_id, 'tests', now()
FROM inventory.reservation_line l WHERE NOT l.open;
INSERT INTO inventory.stock_movement (stock_id, delta, reason, reference, actor, create_time)
SELECT id, 14, 'RECEIVED', 'delivery ' || sku, 'tests', now() FROM inventory.stock;
"""


@pytest.fixture(scope="module")
async def engine() -> AsyncIterator[AsyncEngine]:
    """A database with many stocks, whose triggers slept while they were made."""
    async with fresh_database("postgres") as url:
        migrating = create_engine(url, pool_size=2, for_migrations=True)
        await Schema("inventory").upgrade(migrating)
        async with migrating.begin() as connection:
            await connection.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in FILL.split(";\n"):
                await connection.exec_driver_sql(statement)
            await connection.execute(text("SELECT inventory.refresh_stock_metrics()"))
        async with migrating.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.exec_driver_sql("VACUUM ANALYZE")
        yield migrating
        await migrating.dispose()


@pytest.fixture(scope="module")
async def asked(engine: AsyncEngine) -> Sample:
    """Arguments to ask with."""
    async with engine.connect() as connection:
        return await sample(connection)


@pytest.mark.parametrize("name", NAMED_QUERIES)
async def test_a_named_query_needs_no_whole_table_and_reads_few_rows(
    name: str, asked: Sample, engine: AsyncEngine
) -> None:
    async with engine.connect() as connection:
        uow = SqlUnitOfWork(connection, datetime.now(UTC))
        # Where an index could serve, it shall: a join of few rows to a table of this size may go either way.
        await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explained = await explain(connection, lambda: NAMED_QUERIES[name](uow, asked))
        before = await rows_read(connection)
        await NAMED_QUERIES[name](uow, asked)
        read = await rows_read(connection) - before

    used = [access for one in explained for access in one.accesses if access.table.startswith(LARGE)]
    assert used
    assert [access for access in used if access.index is None] == []
    assert read <= MOST_ROWS.get(name, A_PAGE)


async def test_no_row_is_locked_by_explaining(asked: Sample, engine: AsyncEngine) -> None:
    async with engine.connect() as explaining, engine.connect() as other:
        uow = SqlUnitOfWork(explaining, datetime.now(UTC))
        plans = await explain(explaining, lambda: NAMED_QUERIES["books-to-commit"](uow, asked))

        locked = await other.exec_driver_sql("SELECT id FROM inventory.stock FOR UPDATE NOWAIT")

    assert any("FOR " in plan.statement for plan in plans)
    assert len(locked.all()) == 8000


async def rows_read(connection: AsyncConnection) -> int:
    """How many rows of tables this session has read."""
    counted = await connection.exec_driver_sql(
        "SELECT sum(COALESCE(seq_tup_read, 0) + COALESCE(idx_tup_fetch, 0)) FROM pg_stat_xact_all_tables"
        " WHERE schemaname = 'inventory'"
    )
    return int(counted.scalar_one())
