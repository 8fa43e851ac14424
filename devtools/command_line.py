"""The commands by their names, and what becomes of their failures."""

import signal
import sys
from collections.abc import Callable

from devtools import checks
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
    "lint": checks.lint,
    "format": checks.format_sources,
    "protos": checks.generate_stubs,
}


def run(words: list[str]) -> int:
    """Runs the command that the first word names; returns the exit code. Only `test` takes more words."""
    name, *arguments = words or [""]
    if name != "test" and name not in COMMANDS:
        known = ", ".join([*COMMANDS, "test"])
        print(f"unknown command {name!r}; there are {known}", file=sys.stderr)
        return 2
    if name != "test" and arguments:
        print(f"usage: ./dev {name} (it takes no arguments)", file=sys.stderr)
        return 2
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return checks.test(arguments) if name == "test" else COMMANDS[name]()
    except (EngineUnavailable, GivenDatabaseMissing, ServerFailed, ServiceFailed) as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
