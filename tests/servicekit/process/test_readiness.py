import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.testing import capture_logs

from servicekit.errors import DatabaseUnavailable
from servicekit.persistence.engines import create_engine
from servicekit.process import readiness
from servicekit.process.health import Health
from servicekit.process.readiness import Readiness
from servicekit.schema.migrations import Schema
from tests.servicekit.scripts import write_history

METHOD, OPERATORS = "/shop.v1.ShopService/Sell", "/holdfast.ops.v1.OpsService/GetMigrationStatus"


@pytest.fixture
def schema(tmp_path: Path) -> Schema:
    return Schema("shop", write_history(tmp_path / "shop", revisions=2))


async def test_calls_are_refused_while_the_schema_is_another_and_operators_are_not(
    empty_url: str, schema: Schema
) -> None:
    engine = create_engine(empty_url, pool_size=2, for_migrations=True)
    await schema.upgrade(engine, "0001")
    looking = Readiness(engine, schema, Health(()))

    with pytest.raises(DatabaseUnavailable, match="has not been looked at yet"):
        looking.admit(METHOD)
    looking.admit(OPERATORS)

    await looking.look()

    with pytest.raises(DatabaseUnavailable, match="the schema is at 0001, this build expects 0002"):
        looking.admit(METHOD)
    looking.admit(OPERATORS)

    await schema.upgrade(engine)
    await looking.look()
    looking.admit(METHOD)
    await engine.dispose()


async def test_the_log_says_why_a_server_that_is_there_lets_nobody_in(empty_url: str, schema: Schema) -> None:
    engine = create_engine(make_url(empty_url).set(database="nowhere").render_as_string(False))

    with capture_logs() as logs:
        await Readiness(engine, schema, Health(())).look()
    await engine.dispose()

    assert [entry["reason"] for entry in logs if entry["event"] == "not serving"] == [
        "the database cannot be reached (it has no such database)"
    ]


async def test_a_schema_that_is_as_expected_is_not_served_while_something_hinders(
    empty_url: str, tmp_path: Path
) -> None:
    reasons = ["half of it is away"]

    async def hindrance(_connection: AsyncConnection) -> str:
        return reasons[0]

    scripts = write_history(tmp_path / "shop", revisions=2)
    engine = create_engine(empty_url, pool_size=2, for_migrations=True)
    await Schema("shop", scripts).upgrade(engine)
    looking = Readiness(engine, Schema("shop", scripts, hindrance), Health(()))

    await looking.look()
    with pytest.raises(DatabaseUnavailable, match="half of it is away"):
        looking.admit(METHOD)
    looking.admit(OPERATORS)

    reasons[0] = ""
    await looking.look()
    looking.admit(METHOD)
    await engine.dispose()


@pytest.fixture
async def silent_address() -> AsyncIterator[str]:
    """A server that takes every connection and never says a word."""
    server = await asyncio.start_server(lambda reader, writer: asyncio.sleep(60), "127.0.0.1", 0)
    yield "{}:{}".format(*server.sockets[0].getsockname())
    server.close()


async def test_a_database_that_hangs_is_a_database_that_is_away(
    silent_address: str, schema: Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "MOST_SECONDS", 0.3)
    engine = create_engine(f"postgresql+asyncpg://u:p@{silent_address}/d", pool_size=1)

    with capture_logs() as logs:
        async with asyncio.timeout(2):
            await (looking := Readiness(engine, schema, Health(()))).look()

    assert [entry["reason"] for entry in logs] == ["the database cannot be reached (TimeoutError)"]
    with pytest.raises(DatabaseUnavailable):
        looking.admit(METHOD)
    await engine.dispose()
