"""Cuts what a listing found into the page asked for."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from servicekit.paging import Page, next_page_token

Row = TypeVar("Row")


def one_page(
    request: Message, page: Page, rows: Sequence[Row], key: Callable[[Row], tuple[str, ...]]
) -> tuple[Sequence[Row], str]:
    """The page's rows and the token of the next; `rows` has one more than the page where there is a next."""
    shown = rows[: page.size]
    return shown, next_page_token(request, key(shown[-1])) if len(rows) > page.size else ""
