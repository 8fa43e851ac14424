"""The ORM form of creating a package is worth comparing only while it writes what the service writes."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from benchmarks.bench import package_books
from benchmarks.bench.create_forms import command_of, create_by_orm
from delivery_service.application.create_package import create_package
from delivery_service.domain.package_sn import new_package_sn
from delivery_service.persistence import tables
from delivery_service.persistence.order_lists import listed_packages
from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.engines import create_engine
from servicekit.migrations import Schema
from servicekit.transactions import Transactions

WRITTEN = (
    listed_packages,
    tables.package_items,
    tables.package_orders,
    tables.package_events,
    tables.outbox,
    tables.orders,
)


async def rows(engine: AsyncEngine) -> dict[str, list[tuple[Any, ...]]]:
    """All that the two write, by table; times and ids made at random are only there or not."""
    found = {}
    async with engine.connect() as connection:
        for table in WRITTEN:
            columns = list(table.c)
            got = (await connection.execute(select(*columns).order_by(columns[0]))).all()
            found[table.name] = [
                tuple(
                    value is None if column.name.endswith("_time") or column.name == "event_id" else value
                    for column, value in zip(columns, row, strict=True)
                )
                for row in got
            ]
    return found


async def test_the_orm_form_writes_the_rows_that_the_service_writes(mysql_url: str) -> None:
    engine = create_engine(mysql_url, pool_size=2, for_migrations=True)
    await Schema("delivery").upgrade(engine)
    await package_books.add_orders(engine, 2)
    transactions = Transactions(engine, SqlUnitOfWork)

    await transactions.run(lambda uow: create_package(command_of(1), uow, new_package_sn))
    async with async_sessionmaker(engine).begin() as session:
        await create_by_orm(command_of(2), session)

    found = await rows(engine)
    await engine.dispose()
    for name, (of_service, of_orm) in found.items():
        translated = tuple(
            str(value).replace("PG1", "PG2") if isinstance(value, str) and "PG1" in value else value
            for value in of_service
        )
        differing = {
            (mine, other)
            for mine, other in zip(translated, of_orm, strict=True)
            if mine != other and str(mine).replace("1", "2") != str(other)
        }
        digests = {pair for pair in differing if all(len(str(value)) == 64 for value in pair)}
        assert differing == digests, name
