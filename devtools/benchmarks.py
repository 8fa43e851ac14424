"""Measurements and campaigns that have a command of their own; the others are `python -m benchmarks.NAME`."""

import subprocess
import sys


def bench(arguments: list[str]) -> int:
    """Measures a reservation beside an empty call, and what else is measured in turns; see `./dev bench --help`."""
    return subprocess.run([sys.executable, "-m", "benchmarks.bench", *arguments]).returncode


def peers(arguments: list[str]) -> int:
    """Measures what one could take instead of holdfast, beside it; see `./dev bench-peers --help`."""
    return subprocess.run([sys.executable, "-m", "benchmarks.peers", *arguments]).returncode


def chaos(arguments: list[str]) -> int:
    """Tries promises with faults and load; see `./dev chaos --help`."""
    return subprocess.run([sys.executable, "-m", "chaos", *arguments]).returncode


def mutants(arguments: list[str]) -> int:
    """Plants defects and sees that each is found; words choose some of them."""
    return subprocess.run([sys.executable, "-m", "chaos.mutants", *arguments]).returncode
