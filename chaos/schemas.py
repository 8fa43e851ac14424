"""A database as the old application left it, of either service, and what is in it at any revision."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, inspect
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.legacy_packages import add_legacy_packages
from benchmarks.legacy_stocks import add_legacy_stocks
from servicekit.persistence.engines import create_engine
from servicekit.schema.migrations import Schema
from tests.migrations.delivery import legacy as deliverys
from tests.migrations.inventory import legacy as inventorys
from tests.support.databases import copied_database, fresh_database

FIRST = "0001"


@dataclass(frozen=True)
class Legacy:
    """Databases of one service at its first revision, with rows in them."""

    service: str
    another: Callable[[], AbstractAsyncContextManager[str]]
    """Gives the URL of one more, the same as any other."""

    async def contents(self, url: str) -> list[Any]:
        """The whole schema, how many rows each table has, and of the old application's tables the rows."""
        async with _engine(url) as engine:
            if self.service == "inventory":
                return [*await inventorys.contents(engine), *await inventorys.base_rows(engine)]
            return await _deliverys(engine)

    async def kept(self, url: str) -> list[Any]:
        """The whole schema, and of the old application's tables the rows: what a way down and up again leaves as it is.

        Tables of the old application are given on the way down what was learnt since; the schema's history is longer.
        """
        async with _engine(url) as engine:
            if self.service == "inventory":
                relations = [(*row[:2], *row[3:]) for row in await inventorys.contents(engine)]
                return [*relations, *await inventorys.base_rows(engine)]
            described, _, packages = await _deliverys(engine)
            return [described, packages]

    async def statements(self, url: str) -> int:
        """Brings the database to the newest revision; answers how many statements that takes, or a few more."""
        async with _engine(url) as engine:
            sent = 0

            def count(*_: Any) -> None:
                nonlocal sent
                sent += 1

            event.listen(engine.sync_engine, "before_cursor_execute", count)
            await Schema(self.service).upgrade(engine)
            return sent

    async def down_and_up(self, url: str) -> None:
        """Back to the first revision, and to the newest one again."""
        async with _engine(url) as engine:
            await Schema(self.service).downgrade(engine, FIRST)
            await Schema(self.service).upgrade(engine)


@asynccontextmanager
async def legacies(engine_name: str, rows: int) -> AsyncIterator[Legacy]:
    """Inventory's on Postgres, delivery's on MySQL and MariaDB; so many stocks, or packages, are in each."""
    if engine_name == "postgres":
        async with fresh_database(engine_name) as original:
            async with _engine(original) as engine:
                await Schema("inventory").upgrade(engine, FIRST)
                await add_legacy_stocks(engine, rows)
                await inventorys.legacy_rows(engine)
            yield Legacy("inventory", lambda: copied_database(original))
        return

    @asynccontextmanager
    async def another() -> AsyncIterator[str]:
        async with fresh_database(engine_name) as url:
            async with _engine(url) as engine:
                await Schema("delivery").upgrade(engine, FIRST)
                await add_legacy_packages(engine, rows)
            yield url

    yield Legacy("delivery", another)


@asynccontextmanager
async def _engine(url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(url, pool_size=4, for_migrations=True)
    try:
        yield engine
    finally:
        await engine.dispose()


async def _deliverys(engine: AsyncEngine) -> list[Any]:
    described = await deliverys.description(engine)
    counted = []
    async with engine.connect() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        for name in sorted(names):
            quoted = connection.dialect.identifier_preparer.quote(name)
            rows = await connection.exec_driver_sql(f"SELECT COUNT(*) FROM {quoted}")  # noqa: S608
            counted.append((name, rows.scalar_one()))
    packages = await deliverys.rows(
        engine,
        "SELECT p.id, p.prepare_sn, p.order_ids, p.prepare_status, p.driver_id, p.create_time, p.update_time,"
        " i.order_item_id, i.quantity FROM tigu_prepare_goods p"
        " JOIN tigu_prepare_goods_item i ON i.prepare_id = p.id ORDER BY p.id",
    )
    return [described, counted, packages]
