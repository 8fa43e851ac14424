"""A clock that a process can be given of its own: libfaketime, unpacked from Debian's packages into the cache."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from devtools.engines import apt, cache
from devtools.engines.engine import EngineUnavailable

_LIBRARY = "libfaketimeMT.so.1"
"""The one for programs with threads."""


def library() -> Path:
    """What a process is to load before all else. Raises EngineUnavailable."""
    return cache.versioned(cache.shared_cache() / "engines", "faketime", _fill) / _LIBRARY


def _fill(root: Path) -> str:
    unpacked = root / "unpacked"
    unpacked.mkdir()
    apt.unpack("libfaketime", ["faketime"], unpacked)
    next(unpacked.glob(f"usr/lib/**/{_LIBRARY}")).rename(root / _LIBRARY)
    program = unpacked / "usr/bin/faketime"
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    shutil.rmtree(unpacked)
    version = re.search(r"Version (\d+\.\d+\.\d+)", told.stdout + told.stderr)
    if version is None or not _loads(root / _LIBRARY):
        raise EngineUnavailable("the private copy of libfaketime does not run on this machine")
    return version[1]


def _loads(library: Path) -> bool:
    """Whether a program has the clock that it is given; a library that cannot be loaded is only complained about."""
    environment = {**os.environ, "LD_PRELOAD": str(library), "FAKETIME": "@2001-02-03 04:05:06", "TZ": "UTC"}
    told = subprocess.run(["date", "+%Y"], capture_output=True, text=True, env=environment, check=False)
    return told.stdout.strip() == "2001"
