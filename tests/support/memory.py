"""The memory of a process that a test started."""

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from typing import Protocol


class Running(Protocol):
    """A process that runs, or has ended."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...


async def peak_megabytes(process: Running) -> float:
    """Waits for its end; answers the most that it had, as last seen before.

    It is looked at itself: what the system counts for children is the most of all that ever ran.
    """
    peak = 0.0
    while process.poll() is None:
        with suppress(OSError):
            peak = max(peak, _high_water(process.pid))
        await asyncio.sleep(0.02)
    return peak


def megabytes() -> float:
    """What this process has now."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def _high_water(pid: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0
