"""Creates and drops databases with the settings the services need, on any of the three engines."""

from sqlalchemy import URL, TextClause, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine


async def create_database(url: str) -> None:
    """Creates the database that the URL names, unless it is there."""
    target = make_url(url)
    if target.get_backend_name() == "postgresql":
        known = "SELECT 1 FROM pg_database WHERE datname = :name"
        create = f"CREATE DATABASE \"{target.database}\" ENCODING 'UTF8'"
    else:
        known = "SELECT 1 FROM information_schema.schemata WHERE schema_name = :name"
        create = f"CREATE DATABASE `{target.database}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
    if not await _execute(target, text(known).bindparams(name=target.database)):
        await _execute(target, text(create))


async def drop_database(url: str) -> None:
    """Drops the database that the URL names, whoever is connected to it."""
    target = make_url(url)
    if target.get_backend_name() == "postgresql":
        await _execute(target, text(f'DROP DATABASE IF EXISTS "{target.database}" WITH (FORCE)'))
    else:
        await _execute(target, text(f"DROP DATABASE IF EXISTS `{target.database}`"))


async def _execute(target: URL, statement: TextClause) -> bool:
    """Runs one statement beside the database, outside any transaction; tells whether it returned a row."""
    server = target.set(database="postgres" if target.get_backend_name() == "postgresql" else "")
    engine = create_async_engine(server, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            result = await connection.execute(statement)
            return result.returns_rows and result.first() is not None
    finally:
        await engine.dispose()
