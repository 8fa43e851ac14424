"""Where a server's processor goes, by layer, for the empty call and the reservation: py-spy looks 25 times a second.

A sample belongs to the innermost frame that one of the layers knows, native frames included: copying memory for the
driver is the driver's. What a worker does is the worker's, whoever does it for it.
"""

import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from benchmarks.bench.sides import Side
from devtools.engines import cache
from devtools.engines.engine import EngineUnavailable

LOCK = Path(__file__).parents[2] / "requirements/profiler.txt"
# Each look stops the process. At 200 a second it stood still most of the time, and what workers do, who go by the
# clock, seemed to be a third of its work.
RATE = 25
LAYERS: Mapping[str, str] = {
    "logs: structlog, logging, JSON": r"structlog|logging/__init__|servicekit/telemetry/logs|json/",
    "the driver: asyncpg": r"asyncpg",
    "SQLAlchemy, greenlet": r"sqlalchemy|greenlet",
    "protobuf": r"google/protobuf|_upb|_message\.abi3|upb_",
    "gRPC: core and its Python": r"grpc|cygrpc|absl",
    "the loop: uvloop, asyncio": r"uvloop|asyncio/|libuv|uv__",
    "the interceptor: servicekit/calls": r"servicekit/rpc/(calls|interceptor|guard|error_status|context)",
    "the kit's mutations and transactions": r"servicekit/",
    "inventory: group commit": r"inventory_service/workers",
    "inventory: parse and render": r"inventory_service/rpc",
    "inventory: persistence": r"inventory_service/persistence",
    "inventory: use cases and domain": r"inventory_service/(application|domain)",
    "the bench's own methods": r"benchmarks/",
}
# py-spy takes a thread for busy that waits for its sockets.
WAITING = re.compile(r"epoll_p?wait|p?poll |p?select |futex|pthread_cond|sem_")
POLLING = "workers, which go on by themselves"
OTHER = "anything else"


def find() -> Path:
    """py-spy of this machine, else a private copy as requirements/profiler.txt pins it. Raises EngineUnavailable."""
    if installed := shutil.which("py-spy"):
        return Path(installed)
    return cache.versioned(cache.shared_cache() / "engines", "py-spy", _install) / "bin/py-spy"


def _install(root: Path) -> str:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
    done = subprocess.run([*pip, "--target", root, "-r", LOCK], capture_output=True, text=True)
    if done.returncode:
        raise EngineUnavailable(f"no py-spy: {(done.stderr.strip().splitlines() or ['pip failed'])[-1]}")
    found = re.search(r"py-spy==([\d.]+)", LOCK.read_text())
    assert found is not None
    return found[1]


async def profiled(program: Path, side: Side, seconds: float) -> Counter[str]:
    """Samples by layer while the side's load is on its first server. Raises EngineUnavailable, Void."""
    with tempfile.TemporaryDirectory(prefix="hf-profile-") as folder:
        stacks = Path(folder, "stacks.txt")
        process = await asyncio.create_subprocess_exec(
            *(str(program), "record", "--pid", str(side.servers[0]), "--native"),
            *("--rate", str(RATE), "--duration", str(max(1, round(seconds)))),
            *("--format", "raw", "--output", str(stacks)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None
        # Until it knows the process's symbols it does not look.
        while (line := await process.stdout.readline()) and b"Sampling" not in line:
            pass
        load = await side.operate(seconds * 1.5)
        told, _ = await process.communicate()
        await side.settle(load)
        return _read(stacks, told.decode(errors="replace"))


def _read(stacks: Path, told: str) -> Counter[str]:
    if not stacks.exists():
        raise EngineUnavailable(f"py-spy could not look: {told[-400:]}")
    return by_layer(stacks.read_text())


def by_layer(stacks: str) -> Counter[str]:
    """Samples of collapsed stacks, outermost frame first, by the layer of the innermost known frame."""
    found: Counter[str] = Counter()
    for line in stacks.splitlines():
        told, _, count = line.rpartition(" ")
        frames = told.split(";")
        if not WAITING.match(frames[-1]):
            found[_layer(frames)] += int(count)
    return found


def _layer(frames: list[str]) -> str:
    if any("servicekit/polling" in frame for frame in frames):
        return POLLING
    for frame in reversed(frames):
        for layer, pattern in LAYERS.items():
            if re.search(pattern, frame):
                return layer
    return OTHER


def table(samples: Mapping[str, Counter[str]], microseconds: Mapping[str, float]) -> str:
    """Shares, and what they are of the server's CPU for one call, by row."""
    head = "| layer |" + "".join(f" {row}, % | {row}, µs |" for row in samples)
    lines = [head, "| --- |" + " ---: | ---: |" * len(samples)]
    for layer in (*LAYERS, POLLING, OTHER):
        cells = ""
        for row, counted in samples.items():
            share = counted[layer] / max(counted.total(), 1)
            cells += f" {share * 100:.1f} | {share * microseconds[row]:.0f} |"
        lines.append(f"| {layer} |{cells}")
    whole = "".join(f" 100 | {microseconds[row]:.0f} |" for row in samples)
    return "\n".join([*lines, f"| **all of the server's CPU** |{whole}"]) + "\n"
