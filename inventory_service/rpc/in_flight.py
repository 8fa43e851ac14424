"""Answers the messages of a stream beside each other, a bounded number at a time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

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
