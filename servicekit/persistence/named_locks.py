"""Locks that a database keeps by name, for as long as the session that took them lives."""

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

_TAKE_ON_POSTGRES = text("SELECT pg_try_advisory_lock(hashtext(:name))")
_GIVE_ON_POSTGRES = text("SELECT pg_advisory_unlock(hashtext(:name))")
# Named locks of MySQL and MariaDB belong to the whole server: those of other databases are not met.
_TAKE_ON_MYSQL = text("SELECT GET_LOCK(CONCAT(:name, '.', LEFT(SHA2(DATABASE(), 256), 32)), 0)")
_GIVE_ON_MYSQL = text("SELECT RELEASE_LOCK(CONCAT(:name, '.', LEFT(SHA2(DATABASE(), 256), 32)))")


async def take_lock(connection: AsyncConnection, name: str) -> bool:
    """Whether the session has it now; it never waits."""
    take = _TAKE_ON_POSTGRES if connection.dialect.name == "postgresql" else _TAKE_ON_MYSQL
    return bool((await connection.execute(take, {"name": name})).scalar())


async def give_lock(connection: AsyncConnection, name: str) -> None:
    """Gives it back before the session ends; a session that cannot do that is ended, and its locks with it."""
    give = _GIVE_ON_POSTGRES if connection.dialect.name == "postgresql" else _GIVE_ON_MYSQL
    try:
        await connection.execute(give, {"name": name})
    except DBAPIError:
        # Not raised: it would hide what the work under the lock ended with.
        await connection.invalidate()
