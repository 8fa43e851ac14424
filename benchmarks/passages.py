"""A step of a migration beside clients that work, and what they saw meanwhile."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmarks.traffic import WITNESSES, Seen

CLIENTS = ("old writer", "reader", "service", *WITNESSES)
QUIET_SECONDS = 60.0
REST_SECONDS = 0.5
"""Before and after each step, so that who still waits is heard out."""


class Clients(Protocol):
    """Whoever works meanwhile."""

    def look(self) -> dict[str, Seen]:
        """What each client saw since the last look."""


@dataclass(frozen=True)
class Passage:
    """One step, and what the clients saw meanwhile."""

    revision: str
    """Or the name of a step that is none."""
    seconds: float
    seen: dict[str, Seen]

    @property
    def errors(self) -> dict[str, int]:
        """What failed for clients, by message, with its number."""
        return {error: number for seen in self.seen.values() for error, number in seen.errors.items()}

    @property
    def figures(self) -> str:
        """The line of a table behind the name: waits in milliseconds, calls, and errors."""
        waits = []
        for client in CLIENTS:
            seen = self.seen.get(client, Seen())
            waits.append(f"{seen.longest_seconds * 1000:8.0f} {seen.calls:7}")
        return f"{self.seconds:9.1f}  {'  '.join(waits)}  {sum(self.errors.values()):6}"


async def passed(
    clients: Clients, name: str, step: Callable[[], Awaitable[None]], rest_seconds: float = REST_SECONDS
) -> Passage:
    """One step beside the clients, and what they saw from just before it until just after it."""
    await asyncio.sleep(rest_seconds)
    clients.look()
    begin = time.perf_counter()
    await step()
    seconds = time.perf_counter() - begin
    await asyncio.sleep(rest_seconds)
    return Passage(name, seconds, clients.look())


async def run_migrate(service: str, url: str, *words: str) -> None:
    """`SERVICE migrate …` as a process. Ends the measurement where it fails."""
    prefix = service.upper()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"{service}_service", "migrate", *words),
        env=os.environ | {f"{prefix}_DATABASE_URL": url, f"{prefix}_LOG_LEVEL": "warning"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    if process.returncode:
        raise SystemExit(f"migrate {' '.join(words)} failed:\n{told.decode()}")


def table(name_width: int, passages: Sequence[Passage]) -> list[str]:
    """The passages as lines under a head."""
    clients = "  ".join(f"{client:>16}" for client in CLIENTS)
    return [
        "longest wait and number of calls of each client",
        "",
        f"{'step':{name_width}} {'seconds':>9}  {clients}  {'errors':>6}",
        " " * (name_width + 10) + f"  {'ms':>8} {'calls':>7}" * len(CLIENTS),
        *(line for passage in passages for line in _lines(name_width, passage)),
    ]


def _lines(name_width: int, passage: Passage) -> Iterator[str]:
    yield f"{passage.revision:{name_width}} {passage.figures}"
    for error, number in passage.errors.items():
        yield f"  {number} × {error}"
