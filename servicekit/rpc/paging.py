"""Pages by keyset: a token names the last row seen and is bound to the arguments it was made for."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from servicekit.errors import PageTokenMismatch
from servicekit.rpc.validation import Violations

DEFAULT_SIZE = 50
MOST_SIZE = 1000
# Clients refuse answers above 4 MiB unless told otherwise; the rest is for what stands beside the rows.
MOST_ANSWER_BYTES = 3 * 1024 * 1024
# The tag and the length of one message in a repeated field.
MOST_FRAME_BYTES = 8

Row = TypeVar("Row")
Rendered = TypeVar("Rendered", bound=Message)


@dataclass(frozen=True)
class Page:
    """What a listing takes: at most `size` rows, those that come after the row with the keys `after`."""

    size: int
    after: tuple[str, ...] | None


def requested_page(violations: Violations, request: Any) -> Page:
    """The page that a List request asks for. Raises PageTokenMismatch."""
    if request.page_size < 0:
        violations.add("page_size", "must not be negative")
    after = _decoded(request) if request.page_token else None
    return Page(min(request.page_size or DEFAULT_SIZE, MOST_SIZE), after)


def next_page_token(request: Message, last_key: Sequence[str]) -> str:
    """The token of the page after the row with this key, for a request with the same other arguments."""
    text = json.dumps([_bound_to(request), *last_key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def one_page(
    request: Message,
    page: Page,
    rows: Sequence[Row],
    key: Callable[[Row], tuple[str, ...]],
    render: Callable[[Row], Rendered],
) -> tuple[list[Rendered], str]:
    """The page's rows as messages, and the token of the next; `rows` has one more where there is a next.

    Rows that are large make a shorter page, so that no answer is larger than callers accept.
    """
    messages = first_that_fit(map(render, rows[: page.size]))
    rest = len(rows) > len(messages)
    return messages, next_page_token(request, key(rows[len(messages) - 1])) if rest else ""


def first_that_fit(messages: Iterable[Rendered]) -> list[Rendered]:
    """The first of the messages, as many as one answer can bear; always the very first."""
    fitting: list[Rendered] = []
    size = 0
    for message in messages:
        size += message.ByteSize() + MOST_FRAME_BYTES
        if fitting and size > MOST_ANSWER_BYTES:
            break
        fitting.append(message)
    return fitting


def after_text(page: Page) -> str | None:
    """The text that the previous page ended with. Raises PageTokenMismatch."""
    return None if page.after is None else _text(*_parts(page.after, 1))


def after_number(page: Page) -> int | None:
    """The number that the previous page ended with. Raises PageTokenMismatch."""
    return None if page.after is None else _number(*_parts(page.after, 1), below=2**64)


def after_time_and_text(page: Page) -> tuple[datetime, str] | None:
    """The time and text that the previous page ended with. Raises PageTokenMismatch."""
    if page.after is None:
        return None
    time, text = _parts(page.after, 2)
    return _time(time), _text(text)


def after_time_and_number(page: Page) -> tuple[datetime, int] | None:
    """The time and number that the previous page ended with. Raises PageTokenMismatch."""
    if page.after is None:
        return None
    time, number = _parts(page.after, 2)
    return _time(time), _number(number, below=2**63)


def after_time_and_uuid(page: Page) -> tuple[datetime, UUID] | None:
    """The time and UUID that the previous page ended with. Raises PageTokenMismatch."""
    if page.after is None:
        return None
    time, text = _parts(page.after, 2)
    try:
        return _time(time), UUID(text)
    except ValueError:
        raise PageTokenMismatch from None


def _parts(after: tuple[str, ...], count: int) -> tuple[str, ...]:
    if len(after) != count:
        raise PageTokenMismatch
    return after


def _text(text: str) -> str:
    # Tokens are made here but kept by others: NUL and lone surrogates must not reach a database.
    if not text.isprintable():
        raise PageTokenMismatch
    return text


def _number(text: str, *, below: int) -> int:
    # Python refuses to read a number of thousands of digits, with an error of its own.
    if not (text.isascii() and text.isdecimal() and len(text) <= 20 and int(text) < below):
        raise PageTokenMismatch
    return int(text)


def _time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
        # The shift to UTC can leave the years that there are.
        utc = time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise PageTokenMismatch from None
    if time.tzinfo is None:
        raise PageTokenMismatch
    return utc


def _decoded(request: Any) -> tuple[str, ...]:
    token: str = request.page_token
    try:
        bound_to, *key = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True))
    except (ValueError, TypeError, RecursionError):
        raise PageTokenMismatch from None
    if bound_to != _bound_to(request) or not key or not all(isinstance(part, str) for part in key):
        raise PageTokenMismatch
    return tuple(key)


def _bound_to(request: Message) -> str:
    copy: Any = type(request)()
    copy.CopyFrom(request)
    for field in ("page_size", "page_token"):
        copy.ClearField(field)
    copy.DiscardUnknownFields()
    name = request.DESCRIPTOR.full_name.encode()
    return hashlib.sha256(name + copy.SerializeToString(deterministic=True)).hexdigest()[:16]
