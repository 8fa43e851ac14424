"""The disk by itself: how long it keeps a writer waiting that has nothing to do with any database."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from benchmarks.database import FOLDER

PAUSE_SECONDS = 0.02
PAGE = bytes(4096)


@asynccontextmanager
async def watched_disk(tell: Callable[[float], None]) -> AsyncIterator[None]:
    """Writes and syncs one page again and again until the block ends, and tells how many seconds each took."""
    stop = asyncio.Event()

    async def go_on(file: int) -> None:
        while not stop.is_set():
            tell(await asyncio.to_thread(_sync, file))
            await asyncio.sleep(PAUSE_SECONDS)

    with tempfile.TemporaryFile(dir=FOLDER) as page:
        watching = asyncio.create_task(go_on(page.fileno()))
        try:
            yield
        finally:
            stop.set()
            await watching


def _sync(file: int) -> float:
    begin = time.perf_counter()
    os.pwrite(file, PAGE, 0)
    os.fdatasync(file)
    return time.perf_counter() - begin
