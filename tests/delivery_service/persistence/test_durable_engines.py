"""What MySQL and MariaDB say of themselves where nothing was left out for the speed of tests."""

import asyncio

import pytest

from delivery_service.persistence import engine_probes
from delivery_service.persistence.engine_probes import durability
from delivery_service.persistence.index_usage import index_usage
from devtools.databases import create_database
from servicekit.operations.diagnostics import Severity
from servicekit.persistence.engines import create_engine
from tests.servicekit.sessions import session_id
from tests.support.durable_servers import durable_server

NO_READS = "reads: the engine counts none with performance_schema=OFF and userstat=OFF"


@pytest.mark.parametrize("name", ["mysql", "mariadb"])
async def test_a_server_that_keeps_what_it_acknowledges_is_fine(name: str) -> None:
    async with durable_server(name, "shop") as url:
        await create_database(url)
        engine = create_engine(url, pool_size=1)
        async with engine.connect() as connection:
            found = await durability(connection)
            await connection.exec_driver_sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
            loose = await durability(connection)
            await connection.exec_driver_sql(
                "CREATE TABLE shelf (id INTEGER PRIMARY KEY, room INTEGER, KEY by_room (room))"
            )
            usages = {usage.index: usage for usage in await index_usage(connection)}
            await connection.exec_driver_sql("SET GLOBAL userstat = 1" if name == "mariadb" else "SELECT 1")
            for _ in range(3):
                await connection.exec_driver_sql("SELECT id FROM shelf FORCE INDEX (by_room) WHERE room > 0")
            counted = {usage.index: usage for usage in await index_usage(connection)}
        await engine.dispose()

    assert (found.severity, found.next_command) == (Severity.OK, "")
    assert "innodb_flush_log_at_trx_commit=1" in found.description
    assert loose.severity is Severity.FAIL
    assert loose.description.startswith("innodb_flush_log_at_trx_commit is 2 and should be 1, ")
    assert set(usages) == {"PRIMARY", "by_room"}
    if name == "mariadb":
        assert all(usage.reads is None and NO_READS in usage.unknown for usage in usages.values())
    else:
        assert all(usage.reads == 0 for usage in usages.values())
    assert all(usage.reads is not None for usage in counted.values())


async def test_who_holds_locks_is_told_where_mysql_has_no_performance_schema(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_probes, "LONG_SECONDS", 0.5)
    async with durable_server("mysql", "shop", watched=False) as url:
        await create_database(url)
        engine = create_engine(url, pool_size=2)
        async with engine.connect() as holder, engine.connect() as looking:
            await holder.exec_driver_sql("CREATE TABLE shelf (id INTEGER PRIMARY KEY)")
            await holder.exec_driver_sql("INSERT INTO shelf VALUES (1)")
            session = await session_id(holder)
            await asyncio.sleep(1.5)
            found = await engine_probes.locks(looking)
        await engine.dispose()

    assert found.severity is Severity.WARN
    assert f"the transaction of session {session} has held locks for" in found.description
