"""python -m devtools COMMAND; ./dev and the Makefile come here."""

import sys
from collections.abc import Callable

from devtools import checks
from devtools.demo.play import demo
from devtools.engines.engine import EngineUnavailable
from devtools.engines.server import ServerFailed
from devtools.stack import commands
from devtools.stack.service import ServiceFailed

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "demo": lambda _: demo(),
    "up": lambda _: commands.up(),
    "down": lambda _: commands.down(),
    "reset": lambda _: commands.reset(),
    "logs": lambda _: commands.logs(),
    "lint": lambda _: checks.lint(),
    "format": lambda _: checks.format_sources(),
    "test": checks.test,
    "protos": lambda _: checks.generate_stubs(),
}


def main() -> int:
    """Runs the command that the first argument names."""
    name, *arguments = sys.argv[1:] or [""]
    if name not in COMMANDS:
        print(f"unknown command {name!r}; there are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        return COMMANDS[name](arguments)
    except (EngineUnavailable, ServerFailed, ServiceFailed) as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
