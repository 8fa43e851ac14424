"""The commands by their names, and what becomes of their failures."""

import sys
from collections.abc import Callable
from functools import partial

from devtools import benchmarks, certificates, checks, environment, interruption
from devtools.demo.play import demo
from devtools.engines.engine import EngineUnavailable
from devtools.engines.server import ServerFailed
from devtools.stack import commands
from devtools.stack.given import GivenDatabaseMissing
from devtools.stack.service import ServiceFailed

COMMANDS: dict[str, Callable[[], int]] = {
    "demo": demo,
    "up": commands.up,
    "down": commands.down,
    "reset": commands.reset,
    "logs": commands.logs,
    "certs": certificates.certs,
    "lint": checks.lint,
    "format": checks.format_sources,
    "protos": checks.generate_stubs,
    "release-contracts": checks.release_contracts,
}
TAKING_WORDS: dict[str, Callable[[list[str]], int]] = {
    "test": checks.test,
    "bench": benchmarks.bench,
    "bench-peers": benchmarks.peers,
    "chaos": benchmarks.chaos,
    "mutants": benchmarks.mutants,
}


def run(words: list[str]) -> int:
    """Runs the command that the first word names, with the others where it takes some; returns the exit code."""
    name, *arguments = words or [""]
    if name not in TAKING_WORDS and name not in COMMANDS:
        known = ", ".join([*COMMANDS, *TAKING_WORDS])
        print(f"unknown command {name!r}; there are {known}", file=sys.stderr)
        return 2
    if name not in TAKING_WORDS and arguments:
        print(f"usage: ./dev {name} (it takes no arguments)", file=sys.stderr)
        return 2
    environment.bypass_proxy()
    try:
        return interruption.run(
            partial(TAKING_WORDS[name], arguments) if name in TAKING_WORDS else COMMANDS[name]
        )
    except (EngineUnavailable, GivenDatabaseMissing, ServerFailed, ServiceFailed) as failure:
        print(failure, file=sys.stderr)
        return 1
