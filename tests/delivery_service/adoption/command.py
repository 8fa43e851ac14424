"""`delivery-service migrate …` as a process."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.memory import peak_megabytes

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
        *(sys.executable, "-m", "delivery_service", "migrate", *words),
        cwd=ROOT,
        env=os.environ | {"DELIVERY_DATABASE_URL": url, "DELIVERY_LOG_LEVEL": "error"} | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    (output, errors), megabytes = await asyncio.gather(process.communicate(), peak_megabytes(process))
    return Done(process.returncode or 0, output.decode(), errors.decode(), megabytes)
