"""The command line that every service has: `serve` and `migrate …`."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from typing import TypeVar

from servicekit import logs, migrate_command, settings
from servicekit.migrations import Schema
from servicekit.server import CannotListen, Service, serve

S = TypeVar("S", bound=settings.DatabaseSettings)


def run(
    name: str, database: type[settings.DatabaseSettings], kind: type[S], build: Callable[[S], Service]
) -> int:
    """Runs one command of the service and answers the exit code: 2 for bad settings or a taken address.

    `serve` reads the variables of `kind`, `migrate` those of `database`.
    """
    parser = argparse.ArgumentParser(f"{name}-service")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve until SIGTERM, then drain")
    migrate_command.add_parser(commands)
    arguments = parser.parse_args()
    prefix = name.upper()
    try:
        if arguments.command == "migrate":
            wanted = settings.read(database, prefix, os.environ)
            logs.configure(wanted.log_level)
            return migrate_command.run(arguments, Schema(name), wanted.database_url)
        read = settings.read(kind, prefix, os.environ)
        logs.configure(read.log_level)
        return _run_loop(read, build)
    except (settings.SettingsInvalid, CannotListen) as error:
        print(error, file=sys.stderr)
        return 2


def _run_loop(read: S, build: Callable[[S], Service]) -> int:
    async def run_service() -> int:
        return await serve(build(read))

    try:
        import uvloop
    except ImportError:
        return asyncio.run(run_service())
    return uvloop.run(run_service())
