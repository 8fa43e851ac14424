"""The answers of a batch in the log of requests: locked, then loaded, and saved by one statement each."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.application import locks
from inventory_service.application.locks import Locked
from inventory_service.application.reservation_ports import RequestKey
from inventory_service.persistence.fixed import Fixed
from servicekit.errors import RequestIdReused

# A key that no row bears yet can only be locked by name. Apart from the look, which must begin once all are locked: a
# statement sees what was committed before it began.
_LOCK_FREE = Fixed("""
    SELECT caller, method, request_id
    FROM unnest(CAST(:callers AS text[]), CAST(:methods AS text[]), CAST(:request_ids AS text[]))
        AS wanted (caller, method, request_id)
    WHERE NOT pg_try_advisory_xact_lock(hashtextextended(concat_ws(' ', caller, method, request_id), 1))
""")

_LOAD = Fixed("""
    SELECT request.caller, request.method, request.request_id, request.digest, request.response
    FROM inventory.request
    JOIN unnest(CAST(:callers AS text[]), CAST(:methods AS text[]), CAST(:request_ids AS text[]))
        AS wanted (caller, method, request_id) USING (caller, method, request_id)
""")

_ADD = Fixed("""
    INSERT INTO inventory.request (caller, method, request_id, digest, response, create_time)
    SELECT *, now()
    FROM unnest(CAST(:callers AS text[]), CAST(:methods AS text[]), CAST(:request_ids AS text[]),
        CAST(:digests AS text[]), CAST(:responses AS bytea[]))
""")

_Name = tuple[str, str, str]


class SqlAnswers:
    """The answers over one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._locked: set[_Name] = set()
        self._known: dict[_Name, tuple[str, bytes]] = {}
        self._new: dict[_Name, tuple[str, bytes]] = {}

    async def open(self, keys: Sequence[RequestKey]) -> None:
        if not keys:
            return
        names = _columns([_name(key) for key in keys])
        self._locked = {_row_name(row) for row in await _LOCK_FREE(self._connection, names)}
        for row in await _LOAD(self._connection, names):
            self._known[_row_name(row)] = row["digest"], row["response"]

    def find(self, key: RequestKey) -> bytes | Exception | None:
        if _name(key) in self._locked:
            return Locked(locks.request(key))
        found = self._known.get(_name(key))
        if found is None:
            return None
        digest, response = found
        return response if digest == key.digest else RequestIdReused(key.request_id)

    def put(self, key: RequestKey, response: bytes) -> None:
        self._known[_name(key)] = self._new[_name(key)] = (key.digest, response)

    async def save(self) -> None:
        if not self._new:
            return
        values = _columns(list(self._new)) | {
            "digests": [digest for digest, _ in self._new.values()],
            "responses": [response for _, response in self._new.values()],
        }
        await _ADD(self._connection, values)


def _name(key: RequestKey) -> _Name:
    return key.caller, key.method, key.request_id


def _row_name(row: Mapping[str, Any]) -> _Name:
    return row["caller"], row["method"], row["request_id"]


def _columns(names: Sequence[_Name]) -> dict[str, object]:
    callers, methods, request_ids = zip(*names, strict=True)
    return {"callers": list(callers), "methods": list(methods), "request_ids": list(request_ids)}
