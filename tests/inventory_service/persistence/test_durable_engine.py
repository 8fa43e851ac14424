"""What Postgres says of itself where nothing was left out for the speed of tests."""

import re

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service.persistence.engine_probes import durability
from servicekit.operations.diagnostics import Diagnosis, Severity
from servicekit.persistence.engines import create_engine
from tests.support.durable_servers import durable_server


async def test_a_server_that_keeps_what_it_acknowledges_is_fine() -> None:
    async with durable_server("postgres", "postgres") as url:
        engine = create_engine(url, pool_size=1)
        async with engine.connect() as connection:
            found = await durability(connection)
        await engine.dispose()

    assert (found.severity, found.next_command) == (Severity.OK, "")
    assert found.description == "fsync=on, full_page_writes=on, synchronous_commit=on"


@pytest.mark.parametrize(
    ("by", "turned_off"),
    [
        ("", "ALTER SYSTEM SET synchronous_commit = off"),
        (" by ALTER DATABASE", "ALTER DATABASE postgres SET synchronous_commit = off"),
        (" by ALTER ROLE", "ALTER ROLE holdfast SET synchronous_commit = off"),
        (" by ALTER ROLE", "ALTER ROLE holdfast IN DATABASE postgres SET synchronous_commit = off"),
    ],
)
async def test_the_next_command_turns_a_setting_on_where_it_was_turned_off(by: str, turned_off: str) -> None:
    async with durable_server("postgres", "postgres") as url:
        engine = create_engine(url, pool_size=None).execution_options(isolation_level="AUTOCOMMIT")
        await _execute(engine, turned_off, "SELECT pg_reload_conf()")
        found = await _seen(engine)
        await _execute(engine, *re.findall(r'-c "([^"]+)"', found.next_command))
        mended = await _seen(engine)
        await engine.dispose()

    assert found.severity is Severity.FAIL
    assert found.description.startswith(f"synchronous_commit is off{by}")
    assert (mended.severity, mended.next_command) == (Severity.OK, "")


async def _execute(engine: AsyncEngine, *statements: str) -> None:
    async with engine.connect() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


async def _seen(engine: AsyncEngine) -> Diagnosis:
    async with engine.connect() as connection:
        return await durability(connection)
