"""The facts without which no rate means anything: cores, processor, disk, versions."""

import importlib.metadata
import os
import platform
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

SYNCS = 200
PAGE = bytes(8192)
PACKAGES = ("grpcio", "protobuf", "sqlalchemy", "asyncpg", "asyncmy", "uvloop")


def facts() -> Mapping[str, str]:
    """What is told of the machine, in the order told."""
    return {
        "processor": f"{os.cpu_count()} × {_processor()}",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "disk": f"8 kB written and synced in {_sync_milliseconds():.2f} ms (median of {SYNCS})",
        "Python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "holdfast": _commit(),
    }


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _sync_milliseconds() -> float:
    """Where the private servers live, too."""
    taken = []
    with tempfile.TemporaryFile(dir="/tmp") as page:
        for _ in range(SYNCS):
            begin = time.perf_counter()
            os.pwrite(page.fileno(), PAGE, 0)
            os.fdatasync(page.fileno())
            taken.append((time.perf_counter() - begin) * 1000)
    return statistics.median(taken)


def _commit() -> str:
    """Which revision of the code this is, and whether it is that unchanged."""
    root = Path(__file__).parents[2]
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    return done.stdout.strip() or importlib.metadata.version("holdfast")
