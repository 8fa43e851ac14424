import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from servicekit.errors import DatabaseUnavailable
from servicekit.persistence.conflicts import code, connection_lost, duplicate_key, may_run_again, refusal
from servicekit.persistence.engines import create_engine
from tests.servicekit.accounts import ACCOUNTS
from tests.servicekit.sessions import kill, session_id


async def error_of(engine: AsyncEngine, statement: str) -> DBAPIError:
    with pytest.raises(DBAPIError) as caught:
        async with engine.begin() as connection:
            await connection.execute(text(statement))
    return caught.value


async def test_a_duplicate_key_is_named_as_the_schema_names_it(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(ACCOUNTS.insert(), {"id": 3, "owner": "it's for key 'x'", "balance": 0})

    error = await error_of(
        engine, "INSERT INTO account (id, owner, balance) VALUES (4, 'it''s for key ''x''', 0)"
    )

    assert duplicate_key(error) == "uq_account_owner"
    assert not may_run_again(error)


async def test_a_duplicate_primary_key_is_a_duplicate_under_each_engines_own_name(
    engine: AsyncEngine, engine_name: str
) -> None:
    error = await error_of(engine, "INSERT INTO account (id, balance) VALUES (1, 0)")

    assert duplicate_key(error) == ("account_pkey" if engine_name == "postgres" else "PRIMARY")


async def test_any_other_error_is_neither_conflict_nor_loss(engine: AsyncEngine, engine_name: str) -> None:
    error = await error_of(engine, "SELECT 1 FROM nowhere")

    assert code(error) == ("42P01" if engine_name == "postgres" else 1146)
    assert duplicate_key(error) is None
    assert not may_run_again(error)
    assert not connection_lost(error)


async def test_a_killed_session_is_a_lost_connection(engine: AsyncEngine, url: str) -> None:
    async with engine.connect() as connection:
        await kill(url, await session_id(connection))
        with pytest.raises(DBAPIError) as caught:
            await _ask(connection)

    assert connection_lost(caught.value)
    assert not may_run_again(caught.value)


async def test_what_a_caller_is_told_of_a_database_error(engine: AsyncEngine, url: str) -> None:
    missing = await error_of(engine, "SELECT 1 FROM nowhere")
    async with engine.connect() as connection:
        await kill(url, await session_id(connection))
        with pytest.raises(DBAPIError) as lost:
            await _ask(connection)
    elsewhere = create_engine(make_url(url).set(database="nowhere").render_as_string(hide_password=False))
    with pytest.raises(DBAPIError) as nowhere:
        async with elsewhere.connect():
            pass

    assert refusal(missing) is None
    assert isinstance(refusal(lost.value), DatabaseUnavailable)
    assert isinstance(refusal(nowhere.value), DatabaseUnavailable)
    assert isinstance(refusal(ConnectionRefusedError()), DatabaseUnavailable)
    assert refusal(ZeroDivisionError()) is None


async def _ask(connection: AsyncConnection) -> None:
    await connection.execute(text("SELECT 1"))
