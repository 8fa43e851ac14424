"""The client in C: nghttp2's h2load, installed or unpacked into the cache; it sends one fixed body many times.

It counts HTTP statuses only, and those of refused gRPC calls are 200, too: what was done is counted in the database.
"""

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench.processor import children_seconds
from benchmarks.bench.results import Load, Void
from devtools.engines import apt, cache
from devtools.engines.engine import library_path

HEADERS = ("content-type: application/grpc", "te: trailers", "actor-role: system", "actor-id: bench")


@dataclass(frozen=True)
class H2load:
    """The program, and the variables that it needs."""

    program: Path
    environment: Mapping[str, str]

    def version(self) -> str:
        """As it says itself."""
        done = subprocess.run(
            [self.program, "--version"],
            capture_output=True,
            text=True,
            env={**os.environ, **self.environment},
        )
        return done.stdout.strip().removeprefix("h2load ")

    async def send(self, urls: Sequence[str], body: bytes, *, requests: int, in_flight: int) -> Load:
        """Sends so many requests in all, to each URL its share over one connection. Raises Void where one failed."""
        with tempfile.NamedTemporaryFile(prefix="hf-body-") as file:
            file.write(body)
            file.flush()
            before = children_seconds()
            outputs = await asyncio.gather(
                *(
                    self._run(url, file.name, requests // len(urls), max(1, in_flight // len(urls)))
                    for url in urls
                )
            )
            spent = children_seconds() - before
        counted = [parsed(output) for output in outputs]
        return Load(sum(count for count, _ in counted), max(seconds for _, seconds in counted), spent)

    async def _run(self, url: str, body: str, requests: int, in_flight: int) -> str:
        headers = [word for header in HEADERS for word in ("-H", header)]
        process = await asyncio.create_subprocess_exec(
            *(str(self.program), "-n", str(requests), "-c", "1", "-t", "1", "-m", str(in_flight)),
            *("-d", body, *headers, url),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **self.environment},
        )
        output, _ = await process.communicate()
        return output.decode(errors="replace")


def find() -> H2load:
    """Raises EngineUnavailable where it is not installed and cannot be fetched."""
    if installed := shutil.which("h2load"):
        return H2load(Path(installed), {})
    root = cache.versioned(cache.shared_cache() / "engines", "h2load", _unpack)
    return H2load(root / "usr/bin/h2load", library_path(root))


def _unpack(root: Path) -> str:
    apt.unpack("h2load", ["nghttp2-client"], root)
    return H2load(root / "usr/bin/h2load", library_path(root)).version().removeprefix("nghttp2/")


def parsed(output: str) -> tuple[int, float]:
    """How many requests were answered, in how many seconds. Raises Void unless all that were to be sent were."""
    finished = re.search(r"^finished in ([\d.]+)(us|ms|s|m)\b", output, re.MULTILINE)
    counts = re.search(
        r"^requests: (\d+) total, \d+ started, \d+ done, (\d+) succeeded", output, re.MULTILINE
    )
    if finished is None or counts is None or counts[1] != counts[2]:
        raise Void(f"h2load did not get all of its answers:\n{output[-2000:]}")
    scale = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}[finished[2]]
    return int(counts[2]), float(finished[1]) * scale
