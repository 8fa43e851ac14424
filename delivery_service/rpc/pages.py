"""Pages of listings: where the last one ended, and the token of the next."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from google.protobuf.message import Message

from servicekit.errors import PageTokenMismatch
from servicekit.paging import Page, next_page_token

Row = TypeVar("Row")


def one_page(
    request: Message, page: Page, rows: Sequence[Row], key: Callable[[Row], tuple[str, ...]]
) -> tuple[Sequence[Row], str]:
    """The page's rows and the token of the next; `rows` has one more than the page where there is a next."""
    shown = rows[: page.size]
    return shown, next_page_token(request, key(shown[-1])) if len(rows) > page.size else ""


def last_number(page: Page) -> int | None:
    """The number that the previous page ended with. Raises PageTokenMismatch."""
    if page.after is None:
        return None
    try:
        (text,) = page.after
        number = int(text)
    except ValueError:
        raise PageTokenMismatch from None
    if not 0 <= number < 2**64:
        raise PageTokenMismatch
    return number


def last_time_and_id(page: Page) -> tuple[datetime, str] | None:
    """The time and id that the previous page ended with. Raises PageTokenMismatch."""
    if page.after is None:
        return None
    try:
        text, row_id = page.after
        time = datetime.fromisoformat(text)
    except ValueError:
        raise PageTokenMismatch from None
    if time.tzinfo is None:
        raise PageTokenMismatch
    return time, row_id
