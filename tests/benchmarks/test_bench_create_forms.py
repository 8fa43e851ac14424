"""The ORM form of creating a package is worth comparing only while it writes what the service writes."""

from sqlalchemy.ext.asyncio import async_sessionmaker

from benchmarks.bench import package_books
from benchmarks.bench.create_forms import command_of, create_by_orm
from delivery_service.application.create_package import create_package
from delivery_service.domain.package_sn import new_package_sn
from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from servicekit.schema.migrations import Schema
from tests.benchmarks.same_rows import differences


async def test_the_orm_form_writes_the_rows_that_the_service_writes(mysql_url: str) -> None:
    engine = create_engine(mysql_url, pool_size=2, for_migrations=True)
    await Schema("delivery").upgrade(engine)
    await package_books.add_orders(engine, 2)
    transactions = Transactions(engine, SqlUnitOfWork)

    await transactions.run(lambda uow: create_package(command_of(1), uow, new_package_sn))
    async with async_sessionmaker(engine).begin() as session:
        await create_by_orm(command_of(2), session)

    assert await differences(engine, 1, 2) == {}
    await engine.dispose()
