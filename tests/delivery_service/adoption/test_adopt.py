"""Adopting a whole database, on each engine."""

import re
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.adoption.run import Dialect
from servicekit.adoption.run import AdoptionRefused
from servicekit.persistence.engines import create_engine
from tests.delivery_service.adoption.conftest import SCHEMA, Adopt
from tests.delivery_service.adoption.legacy_database import Legacy, lay_out, state

LEGACY = Legacy(packages=45)
BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("delivery_engine", "phase_6", "said", "revision"),
    [
        ("mysql", 1, "is half-way through Phase 6", "0001"),
        ("mariadb", 2, "is from after Phase 6", "0002"),
    ],
)
async def test_each_shape_is_adopted_and_a_dry_run_says_the_same_and_changes_nothing(
    engine: AsyncEngine, adopt: Adopt, folder: Path, phase_6: int, said: str, revision: str
) -> None:
    await lay_out(engine, Legacy(packages=45, phase_6=phase_6))
    before = await state(engine)

    planned = await adopt(dialect=Dialect.PHASE_6, dry_run=True)

    assert await state(engine) == before
    assert planned.endswith("\ndry run: nothing was changed")
    assert backups(folder) == []

    told = await adopt(dialect=Dialect.PHASE_6)

    assert f"this database {said}\n" in told
    assert f"it is taken as revision {revision} and upgraded to {SCHEMA.expected}\n" in told
    assert without_files(told).startswith(without_files(planned.removesuffix("dry run: nothing was changed")))
    assert "differs" not in told
    assert told.endswith(f"adopted: the schema is at {SCHEMA.expected}")
    assert await SCHEMA.applied(engine) == SCHEMA.expected
    tables = (await state(engine)).keys()
    assert {"adoption", "adoption_step"} <= tables and "adoption_row" not in tables
    with pytest.raises(AdoptionRefused, match="is this service's already; bring it up to date with"):
        await adopt()


async def test_what_cannot_be_adopted_is_named_whole_and_nothing_changes(
    engine: AsyncEngine, adopt: Adopt
) -> None:
    await lay_out(engine, LEGACY)
    await execute(engine, "ALTER TABLE tigu_order DROP COLUMN pay_status")
    await execute(engine, "CREATE TABLE outbox (id INT PRIMARY KEY)")
    before = await state(engine)

    with pytest.raises(AdoptionRefused) as refused:
        await adopt(dialect=Dialect.PHASE_6)

    assert str(refused.value).splitlines() == [
        "these cannot be adopted; nothing was changed:",
        "tigu_order.pay_status is missing, int is expected",
        "outbox.* bears a name that this service gives; rename it",
    ]
    assert await state(engine) == before


async def test_data_that_contradicts_itself_is_named_by_row_and_nothing_changes(
    engine: AsyncEngine, adopt: Adopt, folder: Path
) -> None:
    await lay_out(engine, LEGACY)
    await execute(engine, "UPDATE tigu_prepare_goods SET delivery_type = 9 WHERE id = 7")
    before = await state(engine)

    with pytest.raises(AdoptionRefused, match=r"contradicts itself; nothing was changed:\n(.|\n)*PG000007"):
        await adopt(dialect=Dialect.PHASE_6)

    assert await state(engine) == before
    assert backups(folder) == []


@pytest.mark.parametrize("delivery_engine", ["mysql"])
async def test_values_are_not_converted_while_others_are_connected(engine: AsyncEngine, adopt: Adopt) -> None:
    await lay_out(engine, LEGACY)
    before = await state(engine)
    old_application = create_engine(engine.url.render_as_string(hide_password=False), pool_size=1)
    async with old_application.connect() as connection:
        session = (await connection.exec_driver_sql("SELECT CONNECTION_ID()")).scalar_one()

        with pytest.raises(AdoptionRefused, match=f"session {session}, (.|\n)*stop the old application"):
            await adopt(dialect=Dialect.PHASE_6, time_zone=BERLIN)

        assert await state(engine) == before
        told = await adopt(dialect=Dialect.PHASE_6, time_zone=BERLIN, dry_run=True)
        assert "stop the old application before the adoption" in told
        # Nothing is converted: the old application may go on.
        assert "others are connected" not in await adopt(dialect=Dialect.PHASE_6, dry_run=True)
    await old_application.dispose()


async def test_one_adoption_at_a_time(engine: AsyncEngine, adopt: Adopt) -> None:
    await lay_out(engine, Legacy(packages=3))
    async with engine.connect() as connection:
        name = "CONCAT('holdfast.delivery.adopt.', LEFT(SHA2(DATABASE(), 256), 32))"
        assert (await connection.exec_driver_sql(f"SELECT GET_LOCK({name}, 0)")).scalar() == 1
        with pytest.raises(AdoptionRefused, match="another adoption of this database is running"):
            await adopt(dialect=Dialect.PHASE_6)


async def test_a_database_without_packages_is_named_for_what_it_is(engine: AsyncEngine, adopt: Adopt) -> None:
    with pytest.raises(
        AdoptionRefused, match=r"has no tables yet; lay out the tables with: .* migrate upgrade"
    ):
        await adopt()
    await execute(engine, "CREATE TABLE coupon (id INT PRIMARY KEY)")
    with pytest.raises(AdoptionRefused, match="it has the tables coupon; tigu_prepare_goods, with id and"):
        await adopt()


def backups(folder: Path) -> list[Path]:
    """The backups in a folder."""
    return sorted(folder.glob("*.sql.gz"))


def without_files(told: str) -> str:
    """Without the names of files, which hold the time."""
    return re.sub(r"\d{8}T\d{6}Z", "", told)


async def execute(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as connection:
        await connection.exec_driver_sql(statement)
