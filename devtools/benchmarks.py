"""Measurements that have a command of their own; the others are `python -m benchmarks.NAME`."""

import subprocess
import sys


def peers(arguments: list[str]) -> int:
    """Measures what one could take instead of holdfast, beside it; see `./dev bench-peers --help`."""
    return subprocess.run([sys.executable, "-m", "benchmarks.peers", *arguments]).returncode
