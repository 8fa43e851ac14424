"""Hearing a caller out before it is told that its call has ended."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

MOST_LISTENING_SECONDS = 1.0


async def hear_out(sending: Awaitable[object]) -> None:
    """Waits until the caller has sent all that it has to send, or for a second.

    The status that meets a message on its way is lost on some clients: Python's then sees INTERNAL.
    """
    with suppress(Exception):
        async with asyncio.timeout(MOST_LISTENING_SECONDS):
            await sending
