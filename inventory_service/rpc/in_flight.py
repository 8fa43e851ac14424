"""Answers the messages of a stream beside each other, a bounded number at a time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeVar

from servicekit.rpc.hearing import hear_out

Request = TypeVar("Request")
Answer = TypeVar("Answer")


async def answers(
    requests: AsyncIterator[Request],
    answer: Callable[[Request], Awaitable[Answer]],
    most: int,
    end: asyncio.Event,
) -> AsyncGenerator[Answer]:
    """Each answer as soon as it is there; no request is read while `most` are at work or wait to be taken.

    From `end` on requests are given to nobody; those that a caller sends on are heard out.
    """
    slots = asyncio.Semaphore(most)
    ready: asyncio.Queue[asyncio.Task[Answer] | None] = asyncio.Queue()
    working: set[asyncio.Task[Answer]] = set()

    async def work(request: Request) -> Answer:
        return await answer(request)

    async def read() -> None:
        await slots.acquire()
        async for request in requests:
            if end.is_set():
                continue
            task = asyncio.create_task(work(request))
            working.add(task)
            task.add_done_callback(ready.put_nowait)
            await slots.acquire()

    reading, ending = asyncio.create_task(read()), asyncio.create_task(end.wait())
    for last in (reading, ending):
        last.add_done_callback(lambda _: ready.put_nowait(None))
    try:
        while working or not (reading.done() or end.is_set()):
            task = await ready.get()
            if task is not None:
                working.discard(task)
                yield task.result()
                slots.release()
        if end.is_set():
            await hear_out(reading)
        else:
            await reading
    finally:
        for left in (reading, ending, *working):
            left.cancel()
