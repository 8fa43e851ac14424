"""Plans of statements that begin like a read, and of none."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from servicekit.operations.ops_messages import plans_message
from servicekit.operations.query_plans import explain
from servicekit.persistence.engines import create_engine
from tests.servicekit.accounts import Accounts, open_accounts

WRITE = text(
    "WITH changed AS (UPDATE account SET balance = 7 WHERE id = 1 RETURNING id) SELECT id FROM changed"
)


async def test_a_write_that_begins_like_a_read_is_explained_and_not_made(postgres_url: str) -> None:
    engine = create_engine(postgres_url)
    await open_accounts(engine)
    async with engine.connect() as connection:
        accounts = Accounts(connection, datetime.now(UTC))

        async def work() -> None:
            await accounts.lock(1)
            await connection.execute(WRITE)
            pytest.fail("the work goes on beyond its first write")

        read, write = await explain(connection, work)
        balance = await accounts.balance(1)
    await engine.dispose()

    assert read.statement.endswith("FOR UPDATE")
    assert write.statement == WRITE.text and write.plan
    assert balance == 100


async def test_work_that_asks_nothing_has_no_plan(postgres_url: str) -> None:
    engine = create_engine(postgres_url)

    async def nothing() -> None: ...

    async with engine.connect() as connection:
        explained = await explain(connection, nothing)
    await engine.dispose()

    answer = plans_message("stock", explained)
    assert (answer.query, answer.statement, answer.plan, len(answer.further)) == ("stock", "", "", 0)
