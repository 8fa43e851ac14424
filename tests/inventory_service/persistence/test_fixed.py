"""Statements that the driver sends: in SQLAlchemy's transaction, over a connection that stays sound."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from inventory_service.persistence.fixed import Fixed
from servicekit.operations.query_plans import explain
from servicekit.persistence.conflicts import code, connection_lost, duplicate_key
from tests.inventory_service.client import Inventory

ADD = Fixed("""
    INSERT INTO inventory.request (caller, method, request_id, digest, response, create_time)
    SELECT caller, :method, :method, 'd', '', now() FROM unnest(CAST(:callers AS text[])) AS caller
""")
CALLERS = Fixed("SELECT caller FROM inventory.request WHERE method = :method ORDER BY caller")
NUMBER = Fixed("SELECT pg_backend_pid() AS number")
SLEEP = Fixed("SELECT pg_sleep(5)")


async def callers(inventory: Inventory) -> list[str]:
    async with inventory.engine.connect() as connection:
        return [row["caller"] for row in await CALLERS(connection, {"method": "m"})]


async def test_the_first_begins_the_transaction_and_all_of_them_are_in_it(inventory: Inventory) -> None:
    async with inventory.engine.connect() as connection:
        await ADD(connection, {"method": "m", "callers": ["a", "b"]})
        await ADD(connection, {"method": "m", "callers": ["c"]})
        assert await callers(inventory) == []
        assert len(await CALLERS(connection, {"method": "m"})) == 3
        await connection.rollback()
        assert await CALLERS(connection, {"method": "m"}) == []
        await ADD(connection, {"method": "m", "callers": ["d"]})
        await connection.commit()

    assert await callers(inventory) == ["d"]


async def test_what_the_engine_refuses_is_told_as_sqlalchemy_would(inventory: Inventory) -> None:
    async with inventory.engine.connect() as connection:
        await ADD(connection, {"method": "m", "callers": ["a"]})
        with pytest.raises(DBAPIError) as refused:
            await ADD(connection, {"method": "m", "callers": ["a"]})

        assert code(refused.value) == "23505"
        assert duplicate_key(refused.value) == "request_pkey"
        assert not connection_lost(refused.value)
        await connection.rollback()
        assert await CALLERS(connection, {"method": "m"}) == []


async def test_a_connection_that_was_cut_is_told_and_not_given_to_anyone_again(inventory: Inventory) -> None:
    async with inventory.engine.connect() as cut:
        [row] = await NUMBER(cut, {})
        async with inventory.engine.connect() as other:
            await other.execute(text("SELECT pg_terminate_backend(:number)"), {"number": row["number"]})
        with pytest.raises(DBAPIError) as failed:
            await NUMBER(cut, {})
        assert connection_lost(failed.value)
    async with inventory.engine.connect() as connection:
        [another] = await NUMBER(connection, {})
        assert another["number"] != row["number"]


async def test_a_caller_who_gives_up_leaves_no_answer_for_the_next(inventory: Inventory) -> None:
    async with inventory.engine.connect() as connection:
        await NUMBER(connection, {})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await SLEEP(connection, {})
        assert connection.invalidated
    assert await callers(inventory) == []


async def test_whoever_listens_to_statements_hears_each(inventory: Inventory) -> None:
    async with inventory.engine.connect() as connection:

        async def work() -> None:
            await NUMBER(connection, {})
            await CALLERS(connection, {"method": "m"})

        heard = await explain(connection, work)

    assert [one.statement for one in heard] == [NUMBER.text, CALLERS.text]
