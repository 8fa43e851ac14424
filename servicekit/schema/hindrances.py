"""Why a schema may neither be moved nor served, whatever its revision: what a service asks itself of it."""

from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncConnection

Hindrance = Callable[[AsyncConnection], Awaitable[str]]
"""Answers the reason and the way out, in a sentence that the operator reads; nothing where nothing hinders."""


class Hindered(Exception):
    """The schema may not be moved now; the message says why, and what comes first."""


async def nothing_hinders(_connection: AsyncConnection) -> str:
    """Of a service that has nothing to ask."""
    return ""
