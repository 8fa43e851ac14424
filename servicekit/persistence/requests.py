"""The log of requests: what was answered to which request_id, in the transaction of its effect."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Protocol

from sqlalchemy import (
    CHAR,
    Column,
    ColumnElement,
    Insert,
    LargeBinary,
    MetaData,
    String,
    Table,
    Update,
    and_,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.errors import RequestIdReused
from servicekit.persistence.conflicts import duplicate_key
from servicekit.persistence.engines import UtcDateTime

KEPT_DAYS = 30


def requests_table(metadata: MetaData, schema: str | None = None) -> Table:
    """The table `request`; ids are compared byte by byte on every engine."""
    return Table(
        "request",
        metadata,
        Column("caller", String(128), primary_key=True),
        Column("method", String(128), primary_key=True),
        Column("request_id", String(64), primary_key=True),
        Column("digest", CHAR(64), nullable=False),
        Column("response", LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")),
        Column("create_time", UtcDateTime, nullable=False, index=True),
        schema=schema,
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
    )


@dataclass(frozen=True)
class RequestKey:
    """Who asked what under which id; `digest` is the SHA-256 (hex) of the fields that matter."""

    caller: str
    method: str
    request_id: str
    digest: str


class RequestLog:
    """The log, over one connection."""

    def __init__(self, connection: AsyncConnection, table: Table, now: datetime) -> None:
        self._connection = connection
        self._table = table
        self._now = now

    async def claim(self, key: RequestKey) -> bytes | None:
        """Takes the id for this transaction, or answers the stored response of an equal request.

        Waits for a transaction that has the id in hand. Raises RequestIdReused.
        """
        if await self._insert(key):
            return None
        columns = self._table.c
        row = (
            await self._connection.execute(select(columns.digest, columns.response).where(self._is(key)))
        ).one()
        if row.digest != key.digest:
            raise RequestIdReused(key.request_id)
        response: bytes = row.response
        return response

    async def answer(self, key: RequestKey, response: bytes) -> None:
        """Stores the response of a claimed request."""
        values = {"of_caller": key.caller, "of_method": key.method, "of_request": key.request_id}
        await self._connection.execute(_answer(self._table), {**values, "response": response})

    async def forget(self, age: timedelta, most: int) -> int:
        """Deletes at most `most` requests older than `age`; answers how many."""
        columns = self._table.c
        old = await self._connection.execute(
            select(columns.caller, columns.method, columns.request_id)
            .where(columns.create_time < self._now - age)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        rows = old.all()
        for caller, method, request_id in rows:
            await self._connection.execute(
                delete(self._table).where(
                    columns.caller == caller, columns.method == method, columns.request_id == request_id
                )
            )
        return len(rows)

    async def _insert(self, key: RequestKey) -> bool:
        values = {
            "caller": key.caller,
            "method": key.method,
            "request_id": key.request_id,
            "digest": key.digest,
            "create_time": self._now,
        }
        if self._connection.dialect.name == "postgresql":
            # A failed INSERT would end the whole transaction on this engine.
            claim = _claim_on_postgres(self._table)
            return (await self._connection.execute(claim, values)).rowcount == 1
        try:
            await self._connection.execute(_claim(self._table), values)
        except IntegrityError as error:
            if duplicate_key(error) is None:
                raise
            return False
        return True

    def _is(self, key: RequestKey) -> ColumnElement[bool]:
        columns = self._table.c
        return and_(
            columns.caller == key.caller, columns.method == key.method, columns.request_id == key.request_id
        )


class WithRequests(Protocol):
    """A unit of work that can reach the request log."""

    @property
    def requests(self) -> RequestLog: ...


# Made once: to make a statement costs more than to send it.
@cache
def _claim(table: Table) -> Insert:
    return insert(table)


@cache
def _claim_on_postgres(table: Table) -> Insert:
    return postgres_insert(table).on_conflict_do_nothing()


@cache
def _answer(table: Table) -> Update:
    columns = table.c
    return update(table).where(
        columns.caller == bindparam("of_caller"),
        columns.method == bindparam("of_method"),
        columns.request_id == bindparam("of_request"),
    )
