"""Pages by keyset: a token names the last row seen and is bound to the arguments it was made for."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from servicekit.errors import PageTokenMismatch
from servicekit.validation import Violations

DEFAULT_SIZE = 50
MOST_SIZE = 1000


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
