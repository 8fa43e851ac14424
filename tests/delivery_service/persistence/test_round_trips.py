"""Several statements in one round trip: in turn, up to the first that fails, over a connection that stays sound."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import bindparam, func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from delivery_service.persistence.fixed import Fixed
from delivery_service.persistence.round_trips import RoundTrips
from delivery_service.persistence.tables import orders, warehouses
from servicekit.persistence.conflicts import connection_lost

ADD = Fixed(insert(warehouses), ["id", "code", "name"])
CODES = Fixed(
    select(warehouses.c.id, warehouses.c.code)
    .where(warehouses.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(warehouses.c.id)
)
SLEEP = Fixed(select(func.sleep(bindparam("seconds")).label("slept")))


@pytest.fixture
async def connection(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """In a transaction that is rolled back."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        yield connection


def warehouse(number: int, code: str = "") -> dict[str, object]:
    """A row whose text could be taken for something else."""
    return {"id": number, "code": code or f"C{number}", "name": "%s; DROP TABLE tigu_warehouse -- '"}


async def test_statements_are_run_in_turn_and_each_has_its_outcome(connection: AsyncConnection) -> None:
    trips = RoundTrips(connection)

    one, two, found, none = await trips.send(
        ADD(**warehouse(1)), ADD.many([warehouse(2), warehouse(3)]), CODES(ids=[1, 3]), CODES(ids=[9])
    )

    assert (one.count, two.count) == (1, 2)
    assert [(row.id, row.code) for row in found.rows] == [(1, "C1"), (3, "C3")]
    assert none.rows == []
    names = await connection.execute(select(warehouses.c.name).distinct())
    assert names.scalar_one() == warehouse(1)["name"]


async def test_the_first_that_fails_is_named_and_those_after_it_are_not_run(
    connection: AsyncConnection,
) -> None:
    trips = RoundTrips(connection)
    await trips.send(ADD(**warehouse(1)))

    with pytest.raises(IntegrityError) as failed:
        await trips.send(CODES(ids=[1]), ADD(**warehouse(2)), ADD.many([warehouse(1)]), ADD(**warehouse(3)))

    assert failed.value.statement == ADD.text
    [found] = await trips.send(CODES(ids=[1, 2, 3]))
    assert [row.id for row in found.rows] == [1, 2]


async def test_what_is_written_together_goes_out_before_the_next_read_and_at_the_end(
    connection: AsyncConnection,
) -> None:
    trips = RoundTrips(connection)
    async with trips.together():
        await trips.write(ADD(**warehouse(1)))
        assert (await connection.execute(select(warehouses.c.id))).all() == []
        [found] = await trips.send(CODES(ids=[1]))
        assert len(found.rows) == 1
        await trips.write(ADD(**warehouse(2)))

    assert len((await connection.execute(select(warehouses.c.id))).all()) == 2


async def test_a_write_that_must_find_its_row_says_so_where_it_does_not(connection: AsyncConnection) -> None:
    trips = RoundTrips(connection)

    with pytest.raises(RuntimeError, match="0 rows, not 1"):
        await trips.write(Fixed(warehouses.update().where(warehouses.c.id == 7), ["name"])(name="x"), rows=1)


async def test_times_go_and_come_as_the_tables_columns_have_them(connection: AsyncConnection) -> None:
    row = dict.fromkeys((column.name for column in orders.c if not column.nullable), 1)
    now = datetime(2026, 3, 1, 12, 30, 15, 999_999, tzinfo=UTC)
    row |= {"order_sn": "O", "create_time": now, "update_time": now}  # type: ignore[dict-item]

    await RoundTrips(connection).send(Fixed(insert(orders), list(row))(**row))
    [found] = await RoundTrips(connection).send(Fixed(select(orders.c.create_time))())

    assert found.rows[0].create_time == now.replace(microsecond=0)


async def test_a_connection_that_was_cut_is_told_and_not_given_to_anyone_again(engine: AsyncEngine) -> None:
    async with engine.connect() as cut:
        number = (await cut.execute(text("SELECT CONNECTION_ID()"))).scalar_one()
        async with engine.connect() as other:
            await other.execute(text(f"KILL {number}"))
        with pytest.raises(Exception) as failed:
            await RoundTrips(cut).send(CODES(ids=[1]))
        assert connection_lost(failed.value)  # type: ignore[arg-type]
        assert cut.invalidated


async def test_a_caller_who_gives_up_leaves_no_answer_for_the_next(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await RoundTrips(connection).send(CODES(ids=[1]), SLEEP(seconds=1), CODES(ids=[2]))
        assert connection.invalidated
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        [found] = await RoundTrips(connection).send(CODES(ids=[1]))
        assert found.rows == []


async def test_what_was_to_go_out_together_is_forgotten_where_it_fails(connection: AsyncConnection) -> None:
    trips = RoundTrips(connection)

    with pytest.raises(KeyError):
        async with trips.together():
            await trips.write(ADD(**warehouse(1)))
            raise KeyError
    [found] = await trips.send(CODES(ids=[1]))

    assert found.rows == []
