"""The memory of a process that a test started."""

import asyncio
import re
from contextlib import suppress
from pathlib import Path


async def peak_megabytes(process: asyncio.subprocess.Process) -> float:
    """The most that it had, as last seen before its end.

    It is looked at itself: what the system counts for children is the most of all that ever ran.
    """
    peak = 0.0
    while process.returncode is None:
        with suppress(OSError):
            peak = max(peak, _high_water(process.pid))
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 0.05)
    return peak


def _high_water(pid: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0
