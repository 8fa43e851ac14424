"""Measurements and campaigns that have a command of their own; the others are `python -m benchmarks.NAME`."""

import sys

from devtools.processes import run_here


def bench(arguments: list[str]) -> int:
    """Measures a reservation beside an empty call, and what else is measured in turns; see `./dev bench --help`."""
    return run_here([sys.executable, "-m", "benchmarks.bench", *arguments])


def peers(arguments: list[str]) -> int:
    """Measures what one could take instead of holdfast, beside it; see `./dev bench-peers --help`."""
    return run_here([sys.executable, "-m", "benchmarks.peers", *arguments])


def chaos(arguments: list[str]) -> int:
    """Tries promises with faults and load; see `./dev chaos --help`."""
    return run_here([sys.executable, "-m", "chaos", *arguments])


def mutants(arguments: list[str]) -> int:
    """Plants defects and sees that each is found; words choose some of them."""
    return run_here([sys.executable, "-m", "chaos.mutants", *arguments])
