"""Who else is connected is told whatever they are doing."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from delivery_service.adoption.sessions import others_in
from tests.servicekit.sessions import session_id


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
