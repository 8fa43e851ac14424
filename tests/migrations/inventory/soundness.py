"""Whether a migrated database is what the service expects."""

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service.persistence.tables import metadata
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from inventory_service.rpc.consistency import consistency_checks
from servicekit.persistence.transactions import Transactions
from servicekit.schema.migrations import VERSION_TABLE

OURS = set(metadata.tables)


def differences(connection: Connection) -> list[Any]:
    """Where the migrated schema is not what tables.py says; the legacy tables and partitions aside."""

    def of_ours(name: str | None, kind: str, parents: dict[str, str | None]) -> bool:
        return kind != "table" or f"{parents['schema_name']}.{name}" in OURS

    options = {
        "compare_type": True,
        "compare_server_default": True,
        "include_schemas": True,
        "include_name": of_ours,
        "version_table": VERSION_TABLE,
    }
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def assert_sound(engine: AsyncEngine) -> None:
    """The schema is what tables.py says, and the books agree with themselves."""
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    checks = consistency_checks(Transactions(engine, SqlUnitOfWork))
    found = [finding for check in checks.values() async for finding in check()]
    assert found == []
