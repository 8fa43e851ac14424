"""What Postgres says of itself where nothing was left out for the speed of tests."""

from inventory_service.persistence.engine_probes import durability
from servicekit.operations.diagnostics import Severity
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
