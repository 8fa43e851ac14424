"""Each index with what Postgres tells of it, and words for what it does not."""

import asyncio

from holdfast.inventory.v1 import stock_pb2
from holdfast.ops.v1 import ops_pb2 as pb
from sqlalchemy import text

from tests.inventory_service.client import Inventory

BY_SKU = ("inventory.stock", "uq_stock_sku")


async def usages(inventory: Inventory) -> dict[tuple[str, str], pb.IndexUsage]:
    answer = await inventory.ops.GetIndexUsage(pb.GetIndexUsageRequest(), timeout=10)
    return {(usage.table, usage.index): usage for usage in answer.indexes}


async def test_every_index_of_the_service_is_there_once_those_of_partitions_too(inventory: Inventory) -> None:
    async with inventory.engine.connect() as connection:
        there = await connection.execute(
            text(
                "SELECT schemaname || '.' || tablename, indexname FROM pg_indexes"
                " WHERE schemaname IN ('inventory', 'analytics')"
                " AND tablename NOT IN (SELECT relname FROM pg_class WHERE relkind = 'p')"
            )
        )
        expected = {tuple(row) for row in there}

    assert set(await usages(inventory)) == expected
    assert BY_SKU in expected
    assert [table for table, _ in expected if table.startswith("inventory.stock_movement_2")]


async def test_an_index_that_serves_queries_is_not_called_unused(inventory: Inventory) -> None:
    await inventory.create("AJ1-42", 5)
    before = (await usages(inventory))[BY_SKU]
    for _ in range(3):
        await inventory.stub.GetStock(stock_pb2.GetStockRequest(sku="AJ1-42"), timeout=10)

    # Postgres tells what a session did once that session has been idle for a while.
    for _ in range(100):
        after = (await usages(inventory))[BY_SKU]
        if after.reads >= before.reads + 3:
            break
        await asyncio.sleep(0.1)

    assert after.reads >= before.reads + 3
    assert not after.never_used
    assert after.size_bytes > 0


async def test_what_postgres_does_not_estimate_is_told_in_words(inventory: Inventory) -> None:
    for number in range(4):
        await inventory.create(f"SKU-{number}", 1)
    async with inventory.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.exec_driver_sql("ANALYZE inventory.stock")

    found = await usages(inventory)

    assert (found[BY_SKU].cardinality, found[BY_SKU].unknown) == (4, "")
    vague = [usage for usage in found.values() if usage.unknown]
    assert vague
    assert {usage.cardinality for usage in vague} == {0}
    assert {usage.unknown.partition(":")[0] for usage in vague} == {"cardinality"}
