"""The plans that the session of the batches keeps: made on empty tables, they serve large ones."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service.persistence import lock_waits
from inventory_service.persistence import stock_book_statements as statements
from inventory_service.persistence.fixed import Fixed
from servicekit.persistence.engines import create_engine
from tests.inventory_service.client import Inventory

STATEMENTS = {
    "stocks": statements.LOCK,
    "free stocks": statements.LOCK_FREE,
    "reservations": statements.LOCK_RESERVATIONS,
    "free reservations": statements.LOCK_FREE_RESERVATIONS,
    "a stock": lock_waits.STOCK,
    "a reservation": lock_waits.RESERVATION,
    "changes": statements.SAVE_RESERVATIONS,
}


@pytest.mark.usefixtures("inventory")
@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_plan_made_on_empty_tables_reads_by_index(name: str, inventory_url: str) -> None:
    engine = create_engine(inventory_url, pool_size=1, by_index=True)
    try:
        kept = await plan_kept(engine, STATEMENTS[name])
    finally:
        await engine.dispose()

    assert "Index" in kept
    assert "Seq Scan on" not in kept


async def test_without_it_they_would_be_read_whole(inventory: Inventory) -> None:
    kept = [await plan_kept(inventory.engine, statement) for statement in STATEMENTS.values()]

    assert "Seq Scan on" in "\n".join(kept)


async def plan_kept(engine: AsyncEngine, statement: Fixed) -> str:
    nothing = ", ".join("'{}'" for _ in statement.names)
    async with engine.connect() as connection:
        await connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
        await connection.exec_driver_sql(f"PREPARE kept AS {statement.text}")
        rows = await connection.exec_driver_sql(f"EXPLAIN EXECUTE kept({nothing})")
        plan = "\n".join(rows.scalars())
        await connection.exec_driver_sql("DEALLOCATE kept")
    return plan
