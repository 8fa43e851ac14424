"""Who else is connected is told whatever they are doing."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from delivery_service.adoption.sessions import others_in
from devtools.databases import create_database
from tests.servicekit.sessions import session_id
from tests.support.durable_servers import durable_server


async def test_a_session_whose_statement_has_bytes_that_are_no_text_is_told_of(engine: AsyncEngine) -> None:
    others = create_async_engine(engine.url)
    async with engine.connect() as connection, others.connect() as busy:
        session = await session_id(busy)
        storing = asyncio.create_task(
            busy.execute(text("SELECT SLEEP(2), :photo"), {"photo": b"\xff\xd8\xff"})
        )
        await asyncio.sleep(0.7)
        told = await others_in(connection)
        await storing
    await others.dispose()

    assert [f", session {session}, Query" in line for line in told] == [True]


async def test_sessions_are_told_of_where_mysql_has_no_performance_schema() -> None:
    async with durable_server("mysql", "shop", watched=False) as url:
        await create_database(url)
        ours, others = create_async_engine(url), create_async_engine(url)
        async with ours.connect() as connection, others.connect() as other:
            session = await session_id(other)
            told = await others_in(connection)
        await ours.dispose()
        await others.dispose()

    assert [f", session {session}, Sleep" in line for line in told] == [True]


async def test_who_is_just_leaving_is_not_told_of(engine: AsyncEngine) -> None:
    others = create_async_engine(engine.url)
    async with engine.connect() as connection, others.connect() as other:
        looking = asyncio.create_task(others_in(connection))
        await asyncio.sleep(0.3)
        await other.close()
        await others.dispose()
        told = await looking

    assert told == []
