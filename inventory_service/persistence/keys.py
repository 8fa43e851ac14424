"""Keyset values as page tokens carry them, back into what columns are compared with."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Uuid, literal, tuple_

from servicekit.engines import UtcDateTime
from servicekit.errors import PageTokenMismatch


def time_and_text(after: tuple[str, ...]) -> Any:
    """(time, text). Raises PageTokenMismatch."""
    time, key = _two(after)
    return tuple_(literal(_time(time), UtcDateTime), key)


def time_and_uuid(after: tuple[str, ...]) -> Any:
    """(time, UUID). Raises PageTokenMismatch."""
    time, key = _two(after)
    try:
        return tuple_(literal(_time(time), UtcDateTime), literal(UUID(key), Uuid))
    except ValueError:
        raise PageTokenMismatch from None


def time_and_number(after: tuple[str, ...]) -> Any:
    """(time, 64-bit number). Raises PageTokenMismatch."""
    time, key = _two(after)
    if not key.isdecimal() or len(key) > 18:
        raise PageTokenMismatch
    return tuple_(literal(_time(time), UtcDateTime), literal(int(key), BigInteger))


def one_text(after: tuple[str, ...]) -> str:
    """A text. Raises PageTokenMismatch."""
    if len(after) != 1:
        raise PageTokenMismatch
    return _text(after[0])


def _two(after: tuple[str, ...]) -> tuple[str, str]:
    if len(after) != 2:
        raise PageTokenMismatch
    return after[0], _text(after[1])


def _text(value: str) -> str:
    # Tokens are made by us but kept by others: what no id can be must not reach the database.
    if not (value.isascii() and value.isprintable()):
        raise PageTokenMismatch
    return value


def _time(value: str) -> datetime:
    try:
        # The shift to UTC can leave the years that there are.
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise PageTokenMismatch from None
