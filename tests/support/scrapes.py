"""What Prometheus reads of a service."""

import asyncio
import time
import urllib.request
from collections.abc import Callable


def read(listen: str) -> dict[str, float]:
    """Every sample at `host:port`, by its name with its labels."""
    with urllib.request.urlopen(f"http://{listen}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
    }


async def scrape(listen: str) -> dict[str, float]:
    """The same, of a server of this loop too."""
    return await asyncio.to_thread(read, listen)


async def scraped(
    listen: str, wanted: Callable[[dict[str, float]], object], seconds: float = 10
) -> dict[str, float]:
    """The first scrape that is as wanted; AssertionError with the last one if none is in time."""
    until = time.monotonic() + seconds
    while True:
        found = await scrape(listen)
        if wanted(found):
            return found
        assert time.monotonic() < until, found
        await asyncio.sleep(0.02)
