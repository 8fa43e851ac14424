"""Several statements in one round trip to the engine, which runs them in turn, up to the first that fails.

SQLAlchemy sends one statement at a time; what it costs a client to send one is more than what it costs the engine to
run it, and over a network each waits for the one before it. So the ways that every package takes send theirs
together, through the driver under the same connection and in the same transaction.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.persistence.fixed import Bound


@dataclass(frozen=True)
class Outcome:
    """What came of one statement: its rows, or how many rows it found and the first id that it made."""

    rows: Sequence[Any]
    count: int
    first_id: int


class RoundTrips:
    """Over one connection, whose transaction has begun."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._open = False
        self._later: list[tuple[Bound, int | None]] = []

    async def send(self, *statements: Bound) -> list[Outcome]:
        """Sends them at once, after all that was to be sent later. Raises the DBAPIError of the first that fails.

        The error's `statement` is the text of that one.
        """
        later, self._later = self._later, []
        outcomes = await self._connection.run_sync(_send, [*(write for write, _ in later), *statements])
        for (write, rows), outcome in zip(later, outcomes, strict=False):
            if rows not in (None, outcome.count):
                raise RuntimeError(f"{outcome.count} rows, not {rows}, of: {write.text}")
        return outcomes[len(later) :]

    async def write(self, statement: Bound, *, rows: int | None = None) -> None:
        """Sends a write whose outcome nobody asks for: later, where many are sent together.

        `rows`: how many there must be for it under locks that are ours; else RuntimeError, a fault of ours.
        """
        self._later.append((statement, rows))
        if not self._open:
            await self.send()

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """What is written within goes out at the end, or with the next statements that are sent here."""
        self._open = True
        try:
            yield
        except BaseException:
            # Whoever catches it and goes on must not send what was meant to go out with the rest.
            self._later = []
            raise
        finally:
            self._open = False
        if self._later:
            await self.send()


def _send(connection: Connection, statements: Sequence[Bound]) -> list[Outcome]:
    if connection.dispatch.before_cursor_execute:
        # Whoever listens to statements, for their plans or to count them, hears each by itself.
        return [_alone(connection, statement) for statement in statements]
    outcomes: list[Outcome] = []
    cursor = connection.connection.cursor()
    try:
        cursor.execute(
            ";\n".join(statement.text for statement in statements),
            [value for statement in statements for value in statement.parameters],
        )
        for number, statement in enumerate(statements):
            if number:
                cursor.nextset()
            outcomes.append(_outcome(statement, cursor))
    except connection.dialect.loaded_dbapi.Error as error:
        raise _wrapped(error, statements[len(outcomes)], connection) from error
    except BaseException:
        # Whatever the engine still sends must not be taken for the answer to somebody else's statement.
        connection.invalidate()
        raise
    finally:
        cursor.close()
    return outcomes


def _alone(connection: Connection, statement: Bound) -> Outcome:
    result = connection.exec_driver_sql(statement.text, tuple(statement.parameters))
    if result.returns_rows:
        return Outcome(statement.fixed.rows([tuple(row) for row in result]), result.rowcount, 0)
    return Outcome((), result.rowcount, result.lastrowid)


def _outcome(statement: Bound, cursor: Any) -> Outcome:
    if cursor.description:
        return Outcome(statement.fixed.rows(cursor.fetchall()), cursor.rowcount, 0)
    return Outcome((), cursor.rowcount, cursor.lastrowid)


def _wrapped(error: Exception, statement: Bound, connection: Connection) -> BaseException:
    lost = connection.dialect.is_disconnect(error, None, None)  # type: ignore[arg-type]
    if lost:
        connection.invalidate(error)
    return DBAPIError.instance(
        statement.text,
        None,
        error,
        connection.dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=connection.dialect,
    )
