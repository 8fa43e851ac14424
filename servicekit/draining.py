"""How a call that lasts ends when its server is told to stop: at once, with words, and wherever it waits."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

from servicekit.errors import Draining

T = TypeVar("T")

Waiting = Callable[[float | None], AbstractAsyncContextManager[None]]
"""What is awaited inside raises Draining once the server is told to stop, TimeoutError after so many seconds."""


@asynccontextmanager
async def watched(draining: asyncio.Event) -> AsyncIterator[Waiting]:
    """Gives the way to wait until `draining` is set; one at a time."""
    limit: asyncio.Timeout | None = None

    async def watch() -> None:
        await draining.wait()
        if limit is not None:
            limit.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def waiting(seconds: float | None) -> AsyncIterator[None]:
        nonlocal limit
        if draining.is_set():
            raise Draining
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                yield
        except TimeoutError:
            if draining.is_set():
                raise Draining from None
            raise
        finally:
            limit = None

    watching = asyncio.create_task(watch())
    try:
        yield waiting
    finally:
        watching.cancel()


async def until_drained(stream: AsyncIterator[T], draining: asyncio.Event) -> AsyncIterator[T]:
    """The same stream. Raises Draining as soon as the server is told to stop; what the stream then awaits is cut."""
    async with watched(draining) as waiting:
        while True:
            async with waiting(None):
                try:
                    item = await anext(stream)
                except StopAsyncIteration:
                    return
            yield item
