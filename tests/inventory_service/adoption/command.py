"""`inventory-service migrate …` as a process."""

import asyncio
import os
import re
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Done:
    """How it ended and what it printed."""

    code: int
    output: str
    errors: str
    megabytes: float
    """The most memory that it had, as last seen before its end."""


Command = Callable[..., Awaitable[Done]]


async def migrate(url: str, *words: str, **environment: str) -> Done:
    """Runs it to its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "inventory_service", "migrate", *words),
        cwd=ROOT,
        env=os.environ | {"INVENTORY_DATABASE_URL": url, "INVENTORY_LOG_LEVEL": "error"} | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    (output, errors), megabytes = await asyncio.gather(process.communicate(), _peak(process))
    return Done(process.returncode or 0, output.decode(), errors.decode(), megabytes)


async def _peak(process: asyncio.subprocess.Process) -> float:
    """Looks at the process itself: what the system counts for children is the most of all that ever ran."""
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
