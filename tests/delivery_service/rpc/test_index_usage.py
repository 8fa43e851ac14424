"""Each index with what the engine tells of it, and words for what it does not."""

from holdfast.ops.v1 import ops_pb2 as pb
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.persistence.index_usage import index_usage
from tests.delivery_service.client import Delivery


async def usages(delivery: Delivery) -> dict[tuple[str, str], pb.IndexUsage]:
    answer = await delivery.ops.GetIndexUsage(pb.GetIndexUsageRequest(), timeout=10)
    return {(usage.table, usage.index): usage for usage in answer.indexes}


async def test_every_index_of_the_database_is_there_once(delivery: Delivery) -> None:
    async with delivery.engine.connect() as connection:
        there = await connection.execute(
            text(
                "SELECT DISTINCT TABLE_NAME, INDEX_NAME FROM information_schema.STATISTICS"
                " WHERE TABLE_SCHEMA = DATABASE()"
            )
        )
        expected = {tuple(row) for row in there}

    assert set(await usages(delivery)) == expected
    assert ("tigu_prepare_goods", "uq_prepare_sn") in expected


async def test_an_index_that_serves_queries_is_read(delivery: Delivery) -> None:
    package = await delivery.create("DRIVER_TO_USER")
    key = ("tigu_prepare_goods", "uq_prepare_sn")
    before = (await usages(delivery))[key]
    for _ in range(3):
        await delivery.get(package.package_sn)

    after = (await usages(delivery))[key]

    assert after.reads >= before.reads + 3
    assert (after.never_used, after.unknown) == (False, "")
    assert after.size_bytes > 0


async def test_an_account_that_may_read_its_database_only_gets_words_for_the_rest(
    limited: AsyncEngine,
) -> None:
    async with limited.connect() as connection:
        found = await index_usage(connection)

    assert len(found) > 20
    for usage in found:
        assert usage.reads is None
        assert usage.size_bytes is None
        assert "the service's account may not read mysql.innodb_index_stats" in usage.unknown
