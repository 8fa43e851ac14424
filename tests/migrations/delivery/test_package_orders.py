"""0012: the orders of existing packages become rows, and every list that is not clean is reported."""

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from servicekit.persistence.engines import create_engine
from tests.migrations.delivery.legacy import PACKAGE, migrating, rows, write_legacy, write_order

MAPPED = "SELECT prepare_goods_id, order_id, active_leg FROM tigu_prepare_goods_order ORDER BY 1, 2"


async def test_ids_that_contain_each_other_are_told_apart(delivery_url: str) -> None:
    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine, "0004")
        for order_id in (1, 12, 123, 41239):
            await write_order(engine, order_id)
        await write_legacy(engine, 10, "123,41239")
        await write_legacy(engine, 11, "1", status=3)
        await write_legacy(engine, 12, "12", status=6)
        await write_legacy(engine, 13, "123", status=1, leg=1)

        await schema.upgrade(engine)

        assert await rows(engine, MAPPED) == [
            (10, 123, 0),
            (10, 41239, 0),
            (11, 1, 0),
            (12, 12, None),
            (13, 123, 1),
        ]


async def test_each_list_that_is_not_clean_is_reported_and_what_is_meant_is_kept(
    delivery_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine, "0004")
        for order_id in (1, 2):
            await write_order(engine, order_id)
        await write_legacy(engine, 1, " 1,, 2 ,2,x1,404", status=6)
        await write_legacy(engine, 2, "1", status=0)
        await write_legacy(engine, 3, "1", status=0)
        await write_legacy(engine, 4, ",".join(["2"] * 60), status=6)

        with caplog.at_level(logging.WARNING, "migrations.delivery"):
            await schema.upgrade(engine)

        assert await rows(engine, MAPPED) == [
            (1, 1, None),
            (1, 2, None),
            (2, 1, 0),
            (3, 1, None),
            (4, 2, None),
        ]
    said = [record.getMessage() for record in caplog.records if record.name == "migrations.delivery"]
    assert [line for line in said if line.startswith("package PG1:")] == [
        "package PG1: order_ids: spaces or zeros around an order id; taken without ( 1)",
        "package PG1: order_ids: a blank part; left out ()",
        "package PG1: order_ids: spaces or zeros around an order id; taken without ( 2 )",
        "package PG1: order_ids: an order id twice; taken once (2)",
        "package PG1: order_ids: a part that is no order id; left out (x1)",
        "package PG1: there is no order 404; left out",
    ]
    assert "package PG3: order 1 is in another active package of leg 0" in said
    assert "package PG4: order_ids: more than 100 characters (119 characters)" in said


async def test_more_packages_than_a_batch_are_all_filled_in(delivery_url: str) -> None:
    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine, "0004")
        await write_order(engine, 1)
        past = {"order_ids": "1", "status": 6, "leg": 0}
        async with engine.begin() as connection:
            await connection.execute(PACKAGE, [{"id": n, "sn": f"PG{n}", **past} for n in range(1, 1203)])

        await schema.upgrade(engine)

        assert await rows(engine, "SELECT COUNT(*) FROM tigu_prepare_goods_order") == [(1202,)]


async def test_the_backfill_rests_while_others_keep_the_engine_busy(delivery_url: str) -> None:
    past = {"order_ids": "1", "status": 6, "leg": 0}
    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine, "0011")
        await write_order(engine, 1)
        async with engine.begin() as connection:
            await connection.execute(PACKAGE, [{"id": n, "sn": f"PG{n}", **past} for n in range(1, 201)])

        others = create_engine(delivery_url, pool_size=None, for_migrations=True)

        async def keep_busy() -> None:
            async with others.connect() as connection:
                await connection.execute(text("SELECT SLEEP(7)"))

        busy = [asyncio.create_task(keep_busy()) for _ in range(9)]
        await asyncio.sleep(0.5)
        began = time.monotonic()
        await schema.upgrade(engine, "0012")
        seconds = time.monotonic() - began
        await asyncio.gather(*busy)

        # Two batches of a hundred, and after each the longest rest.
        assert seconds > 4
        assert await rows(engine, "SELECT COUNT(*) FROM tigu_prepare_goods_order") == [(200,)]


async def test_the_backfill_ends_while_the_old_application_writes_as_fast_as_it_can(
    delivery_url: str,
) -> None:
    done: list[int] = []
    totals: list[int | None] = []
    writing: list[asyncio.Task[None]] = []
    async with migrating(delivery_url) as (schema, engine):
        await schema.upgrade(engine, "0011")
        await write_order(engine, 1)
        past = {"order_ids": "1", "status": 6, "leg": 0}
        ids = itertools.count(1)

        async def write(size: int = 300) -> None:
            async with engine.begin() as connection:
                numbers = list(itertools.islice(ids, size))
                await connection.execute(PACKAGE, [{"id": n, "sn": f"PG{n}", **past} for n in numbers])

        async def write_on() -> None:
            while True:
                await write()

        @contextmanager
        def progress(_title: str, total: int | None) -> Iterator[Callable[[int], None]]:
            totals.append(total)
            writing.append(asyncio.create_task(write_on()))
            yield done.append

        await write(1500)
        try:
            async with asyncio.timeout(60):
                await schema.upgrade(engine, "0012", progress)
        finally:
            for task in writing:
                task.cancel()
            await asyncio.wait(writing)

        assert next(ids) > 1801
        assert (totals, sum(done)) == ([1500], 1500)
        followed = "SELECT COUNT(*), MAX(id) FROM tigu_prepare_goods WHERE legacy_write_time IS NULL"
        assert await rows(engine, followed) == [(1500, 1500)]
