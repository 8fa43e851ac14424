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
        """Its rows, in the transaction that the connection has begun. Raises DBAPIError."""
        ordered = [values[name] for name in self.names]
        session = connection.sync_connection
        assert session is not None
        if session.dispatch.before_cursor_execute:
            # Whoever listens to statements, for their plans or to count them, hears this one too.
            result = await connection.exec_driver_sql(self.text, tuple(ordered))
            return [row._mapping for row in result] if result.returns_rows else []
        driver: Any = session.connection.driver_connection
        if not driver.is_in_transaction():
            raise RuntimeError(
                "SQLAlchemy begins a transaction with the first statement that it sends itself"
            )
        try:
            rows: Rows = await driver.fetch(self.text, *ordered)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            lost = driver.is_closed()
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
