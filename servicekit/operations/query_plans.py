"""What an engine would do with the statements of a piece of work. They are taken as the code sends them."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncConnection

_EXPLAIN = {"postgresql": "EXPLAIN (FORMAT JSON)", "mysql": "EXPLAIN FORMAT=TRADITIONAL"}
_LOCK = re.compile(r"\s+FOR (UPDATE|NO KEY UPDATE|SHARE)( OF \w+)?( SKIP LOCKED| NOWAIT)?(?=\s*(\)|$))")
_READ = re.compile(r"\s*(SELECT|WITH)\b", re.IGNORECASE)
# What begins like a read and writes all the same: WITH added AS (INSERT …) SELECT …
_WRITE = re.compile(r"\b(INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)

U = TypeVar("U")
S = TypeVar("S")


@dataclass(frozen=True)
class Access:
    """How a plan reads one table: by which index, and how many rows it expects.

    Several indexes are joined by commas; None is the whole table.
    """

    table: str
    index: str | None
    rows: int


@dataclass(frozen=True)
class Explained:
    """One statement with placeholders, its parameters, and its plan, also as the engine prints it."""

    statement: str
    parameters: Any
    accesses: tuple[Access, ...]
    plan: str


class _NothingIsWritten(Exception):
    """The work came to its first write."""


async def explain(connection: AsyncConnection, work: Callable[[], Awaitable[object]]) -> list[Explained]:
    """Runs `work` over the connection and answers each statement's plan.

    No row is locked or written: a lock is left out of the statement that runs, and the work ends at its first
    write, which is explained only. What a read finds decides which statements follow it, as ever.
    """
    found: list[Explained] = []

    def look(
        connection: Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
    ) -> tuple[str, Any]:
        found.append(_explained(connection, statement, parameters))
        unlocked = _LOCK.sub("", statement)
        if not _READ.match(unlocked) or _WRITE.search(unlocked):
            raise _NothingIsWritten
        return unlocked, parameters

    async with _without_notes(connection):
        listened = connection.sync_connection
        event.listen(listened, "before_cursor_execute", look, retval=True)
        try:
            await work()
        except _NothingIsWritten:
            pass
        finally:
            event.remove(listened, "before_cursor_execute", look)
    return found


@dataclass(frozen=True)
class NamedQueries(Generic[U, S]):
    """A service's queries that matter, by name, and how each is asked: over which unit of work, and for what."""

    queries: Mapping[str, Callable[[U, S], Awaitable[object]]]
    unit_of_work: Callable[[AsyncConnection, datetime], U]
    sample: Callable[[AsyncConnection], Awaitable[S]]

    async def explain(self, name: str, connection: AsyncConnection) -> list[Explained]:
        """The plans of the query's statements, asked with arguments of what is in the database."""
        asked = await self.sample(connection)
        uow = self.unit_of_work(connection, datetime.now(UTC))
        return await explain(connection, lambda: self.queries[name](uow, asked))


@asynccontextmanager
async def _without_notes(connection: AsyncConnection) -> AsyncIterator[None]:
    """MySQL sends the rewritten statement as a note with each plan, which its driver takes for a warning and logs."""
    if connection.dialect.name == "postgresql":
        yield
        return
    await connection.exec_driver_sql("SET SESSION sql_notes = 0")
    try:
        yield
    finally:
        await connection.exec_driver_sql("SET SESSION sql_notes = 1")


def _explained(connection: Connection, statement: str, parameters: Any) -> Explained:
    engine = connection.dialect.name
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute(f"{_EXPLAIN[engine]} {statement}", parameters)
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    if engine == "postgresql":
        [[document]] = [row.values() for row in rows]
        root = (json.loads(document) if isinstance(document, str) else document)[0]["Plan"]
        return Explained(statement, parameters, tuple(_of_postgres(root)), json.dumps(root, indent=1))
    accesses = tuple(_of_mysql(row) for row in rows if row["rows"])
    plan = "\n".join(" ".join(f"{name}={value}" for name, value in row.items() if value) for row in rows)
    return Explained(statement, parameters, accesses, plan)


def _of_mysql(row: dict[str, Any]) -> Access:
    # MariaDB joins the index of a filter by a bar, and says in brackets how much it keeps.
    index = row["key"] and row["key"].replace("|", ",")
    return Access(row["table"], index, int(str(row["rows"]).split()[0]))


def _of_postgres(node: dict[str, Any]) -> Iterator[Access]:
    children = node.get("Plans", ())
    if "Relation Name" in node:
        index = node.get("Index Name") or ",".join(_bitmaps(children)) or None
        yield Access(node["Relation Name"], index, int(node["Plan Rows"]))
    for child in children:
        yield from _of_postgres(child)


def _bitmaps(nodes: list[dict[str, Any]]) -> Iterator[str]:
    for node in nodes:
        if node["Node Type"] == "Bitmap Index Scan":
            yield node["Index Name"]
        yield from _bitmaps(node.get("Plans", []))
