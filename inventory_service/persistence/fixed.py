"""Statements of fixed text, sent by the driver itself.

What SQLAlchemy costs a client for each statement is more than what the engine needs to run it, and everybody in a
batch waits for all of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
from sqlalchemy import ClauseElement, text
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

_DIALECT = dialect()  # type: ignore[no-untyped-call]

Rows = Sequence[Any]
"""Each gives its values by name, as in row["sku"]."""


class Fixed:
    """A statement of which only the values change, given by name."""

    def __init__(self, statement: str | ClauseElement) -> None:
        compiled = (text(statement) if isinstance(statement, str) else statement).compile(dialect=_DIALECT)
        self.text = str(compiled)
        self.names: Sequence[str] = compiled.positiontup  # type: ignore[attr-defined]

    async def __call__(self, connection: AsyncConnection, values: Mapping[str, object]) -> Rows:
        """Its rows. Raises DBAPIError."""
        ordered = [values[name] for name in self.names]
        session = connection.sync_connection
        assert session is not None
        driver: Any = session.connection.driver_connection
        if session.dispatch.before_cursor_execute or not driver.is_in_transaction():
            # Whoever listens to statements, for their plans or to count them, hears this one too; and SQLAlchemy
            # begins a transaction with the first statement that it sends itself.
            result = await connection.exec_driver_sql(self.text, tuple(ordered))
            return [row._mapping for row in result] if result.returns_rows else []
        try:
            rows: Rows = await driver.fetch(self.text, *ordered)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            # The last but one: the engine has hung up, and the driver has not read it yet.
            lost = driver.is_closed() or isinstance(error, asyncpg.InternalClientError)
            if lost:
                await connection.invalidate(error)
            raise DBAPIError(
                self.text, None, error, hide_parameters=True, connection_invalidated=lost
            ) from error
        except BaseException:
            # Nobody knows how far it came.
            await connection.invalidate()
            raise
        return rows
