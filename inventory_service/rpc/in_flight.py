"""Answers the messages of a stream beside each other, a bounded number at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

MOST_LISTENING_SECONDS = 1.0

Request = TypeVar("Request")
Answer = TypeVar("Answer")


async def answers(
    requests: AsyncIterator[Request], answer: Callable[[Request], Awaitable[Answer]], most: int
) -> AsyncIterator[Answer]:
    """Each answer as soon as it is there; no request is read while `most` are at work or wait to be taken."""
    slots = asyncio.Semaphore(most)
    ready: asyncio.Queue[asyncio.Task[Answer] | None] = asyncio.Queue()
    working: set[asyncio.Task[Answer]] = set()

    async def work(request: Request) -> Answer:
        return await answer(request)

    async def read() -> None:
        try:
            await slots.acquire()
            async for request in requests:
                task = asyncio.create_task(work(request))
                working.add(task)
                task.add_done_callback(ready.put_nowait)
                await slots.acquire()
        finally:
            ready.put_nowait(None)

    reading = asyncio.create_task(read())
    try:
        read_all = False
        while working or not read_all:
            task = await ready.get()
            if task is None:
                read_all = True
                continue
            working.discard(task)
            yield task.result()
            slots.release()
        await reading
    finally:
        for left in (reading, *working):
            left.cancel()


async def until(requests: AsyncIterator[Request], end: asyncio.Event) -> AsyncIterator[Request]:
    """The requests up to the end, or to that event.

    Those that a caller sends on are heard out for a second then, and given to nobody: a status that meets a message
    on its way is lost on some clients.
    """
    ending = asyncio.create_task(end.wait())
    following = asyncio.create_task(_next(requests))
    try:
        while True:
            await asyncio.wait((following, ending), return_when=asyncio.FIRST_COMPLETED)
            if end.is_set():
                break
            try:
                request = following.result()
            except StopAsyncIteration:
                return
            following = asyncio.create_task(_next(requests))
            yield request
        with suppress(Exception):
            async with asyncio.timeout(MOST_LISTENING_SECONDS):
                while True:
                    await following
                    following = asyncio.create_task(_next(requests))
    finally:
        ending.cancel()
        following.cancel()


async def _next(requests: AsyncIterator[Request]) -> Request:
    return await anext(requests)
