import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, select, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.schema import CreateTable

from servicekit.persistence import engines
from servicekit.persistence.engines import UtcDateTime, create_engine
from tests.servicekit.sessions import wire_to

STRICT = {"STRICT_TRANS_TABLES", "ONLY_FULL_GROUP_BY", "NO_ZERO_DATE", "ERROR_FOR_DIVISION_BY_ZERO"}
LIMITS: dict[str, dict[str, object]] = {
    "postgres": {
        "lock_timeout": "2s",
        "statement_timeout": "5s",
        "idle_in_transaction_session_timeout": "10s",
        "transaction_isolation": "read committed",
        "TimeZone": "UTC",
        "application_name": "holdfast",
    },
    "mysql": {
        "innodb_lock_wait_timeout": 3,
        "lock_wait_timeout": 5,
        "max_execution_time": 5000,
        "wait_timeout": 60,
        "transaction_isolation": "READ-COMMITTED",
        "time_zone": "+00:00",
    },
    "mariadb": {
        "innodb_lock_wait_timeout": 3,
        "lock_wait_timeout": 5,
        "max_statement_time": 5,
        "idle_transaction_timeout": 10,
        "wait_timeout": 60,
        "tx_isolation": "READ-COMMITTED",
        "time_zone": "+00:00",
    },
}
UNTIMED: dict[str, dict[str, object]] = {
    "postgres": {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"},
    "mysql": {"max_execution_time": 0, "wait_timeout": 86400},
    "mariadb": {"max_statement_time": 0, "idle_transaction_timeout": 0, "wait_timeout": 86400},
}
WAITS_FOR_LOCKS = ("lock_timeout", "innodb_lock_wait_timeout", "lock_wait_timeout")


async def in_force(engine: AsyncEngine, names: list[str]) -> dict[str, object]:
    async with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            query = text("SELECT current_setting(:name)")
            values = [(await connection.execute(query, {"name": name})).scalar_one() for name in names]
        else:
            variables = text("SHOW SESSION VARIABLES")
            found = {row[0]: row[1] for row in await connection.execute(variables)}
            values = [_number(found[name]) for name in names]
    return dict(zip(names, values, strict=True))


def _number(value: str) -> object:
    try:
        return float(value)
    except ValueError:
        return value


async def test_every_session_of_the_pool_carries_the_limits(url: str, engine_name: str) -> None:
    engine = create_engine(url, pool_size=2)
    expected = LIMITS[engine_name]

    async with engine.connect():
        assert await in_force(engine, list(expected)) == expected
    assert await in_force(engine, list(expected)) == expected
    await engine.dispose()


async def test_migrations_wait_for_locks_as_shortly_but_may_run_as_long_as_they_need(
    url: str, engine_name: str
) -> None:
    engine = create_engine(url, for_migrations=True)
    waits = {name: value for name, value in LIMITS[engine_name].items() if name in WAITS_FOR_LOCKS}
    expected = UNTIMED[engine_name] | waits

    assert await in_force(engine, list(expected)) == expected
    await engine.dispose()


async def test_a_server_that_takes_a_session_and_never_answers_is_given_up(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "CONNECT_SECONDS", 0.2)
    async with wire_to(url) as (through, wire):
        wire.hang = True
        engine = create_engine(through)
        async with asyncio.timeout(3) as patience:
            with pytest.raises(TimeoutError):
                await engine.connect()
        await engine.dispose()

    assert not patience.expired()


@pytest.mark.parametrize("engine_name", ["mysql", "mariadb"], indirect=True)
async def test_a_value_that_does_not_fit_is_refused_not_cut(url: str) -> None:
    engine = create_engine(url)
    modes = await in_force(engine, ["sql_mode"])
    await engine.dispose()

    assert set(str(modes["sql_mode"]).split(",")) >= STRICT


@pytest.mark.parametrize(
    "instant",
    [
        datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC),
        datetime(2026, 7, 1, 12, 0, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        None,
    ],
)
async def test_an_instant_comes_back_as_it_went_to_the_microsecond_in_utc(
    url: str, instant: datetime | None
) -> None:
    engine = create_engine(url)
    table = Table("moment", MetaData(), Column("id", Integer, primary_key=True), Column("it", UtcDateTime))
    async with engine.begin() as connection:
        await connection.execute(CreateTable(table, if_not_exists=True))
        await connection.execute(table.delete())
        await connection.execute(table.insert(), {"id": 1, "it": instant})
        found = (await connection.execute(select(table.c.it))).scalar_one()
        same = (await connection.execute(select(table.c.id).where(table.c.it == instant))).scalar()
    await engine.dispose()

    assert found == instant
    if instant is not None:
        assert found.tzinfo is UTC or found.utcoffset() == timedelta(0)
        assert same == 1
