"""Prometheus' own judge of rules: the one of this machine, else a private copy."""

import re
import shutil
import subprocess
from pathlib import Path

from devtools.engines import apt, cache
from devtools.engines.engine import EngineUnavailable


def promtool() -> Path:
    """The program. Raises EngineUnavailable."""
    found = shutil.which("promtool")
    return (
        Path(found)
        if found
        else cache.versioned(cache.shared_cache() / "engines", "promtool", _fill) / "promtool"
    )


def _fill(root: Path) -> str:
    unpacked = root / "unpacked"
    unpacked.mkdir()
    apt.unpack("Prometheus", ["prometheus"], unpacked)
    (unpacked / "usr/bin/promtool").rename(root / "promtool")
    shutil.rmtree(unpacked)
    told = subprocess.run([root / "promtool", "--version"], capture_output=True, text=True, check=False)
    version = re.search(r"version (\d+\.\d+\.\d+)", told.stdout + told.stderr)
    if version is None:
        raise EngineUnavailable("the private copy of Prometheus does not run on this machine")
    return version[1]
