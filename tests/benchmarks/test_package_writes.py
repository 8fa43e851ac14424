"""What creating a package sends to the engine, counted as the benchmark counts it."""

import pytest

from benchmarks.bench.package_books import add_orders, require
from benchmarks.package_writes import Writes
from benchmarks.statement_steps import recorded_steps
from servicekit.persistence.engines import create_engine
from servicekit.schema.migrations import Schema
from tests.benchmarks.same_rows import differences
from tests.support.databases import fresh_database


@pytest.mark.parametrize("name", ["mysql", "mariadb"])
async def test_creating_a_package_takes_ten_round_trips_and_writes_what_an_orm_would(name: str) -> None:
    async with fresh_database(name) as url:
        engine = create_engine(url, pool_size=2, for_migrations=True)
        await Schema("delivery").upgrade(engine)
        await add_orders(engine, 3)
        writes = Writes(engine)
        # The first time a connection is opened, too.
        await writes.create(1)

        with recorded_steps() as ours:
            await writes.create(2)
        with recorded_steps() as orm:
            await writes.create_by_orm(3)

        assert ours.round_trips == 10
        assert ours.statements == 19
        assert orm.round_trips > 15
        await require(engine, packages=3, links=3, items=3, wishes=3, events=3)
        assert await differences(engine, 2, 3) == {}
        await engine.dispose()
