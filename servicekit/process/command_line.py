"""The command line that every service has: `serve` and `migrate …`, and what a service adds of its own."""

import argparse
import asyncio
import gc
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from servicekit import settings
from servicekit.access.callers import CallersInvalid
from servicekit.access.certificates import CertificatesInvalid
from servicekit.process.listeners import CannotListen
from servicekit.process.server import Service, serve
from servicekit.schema import migrate_command
from servicekit.schema.hindrances import Hindrance, nothing_hinders
from servicekit.schema.migrations import Schema
from servicekit.telemetry import logs

LEAVING_SECONDS = 1.0
"""For the process of a service to be gone once it has stopped."""

S = TypeVar("S", bound=settings.DatabaseSettings)
R = TypeVar("R")


class CommandFailed(Exception):
    """A command cannot do what is asked; the message is the line that the operator reads."""


@dataclass(frozen=True)
class Command(Generic[R]):
    """A command that a service adds beside `serve` and `migrate`.

    `settings` is the dataclass that it reads from the environment. `run` answers the exit code, or raises
    CommandFailed.
    """

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    settings: type[R]
    run: Callable[[argparse.Namespace, R], Awaitable[int]]


def run(
    name: str,
    database: type[settings.DatabaseSettings],
    kind: type[S],
    build: Callable[[S], Service],
    *,
    actions: Sequence[migrate_command.Action] = (),
    commands: Sequence[Command[Any]] = (),
    hindrance: Hindrance = nothing_hinders,
) -> int:
    """Runs one command of the service and answers the exit code: 2 for bad settings or a taken address, 130 for ^C.

    `serve` reads the variables of `kind`, `migrate` those of `database`; `actions` are the service's own of
    `migrate`, `commands` its own beside it. While `hindrance` has a reason, `migrate` does not move the schema.
    """
    interrupted = f"{name}-service"
    try:
        arguments = _parse(name, actions, commands)
        interrupted = arguments.command
        prefix = name.upper()
        for command in commands:
            if arguments.command == command.name:
                return _run_command(command, arguments, settings.read(command.settings, prefix, os.environ))
        if arguments.command == "migrate":
            wanted = settings.read(database, prefix, os.environ)
            logs.configure(wanted.log_level)
            return migrate_command.run(arguments, Schema(name, hindrance=hindrance), wanted.database_url)
        read = settings.read(kind, prefix, os.environ)
        logs.configure(read.log_level)
        return _run_loop(read, build)
    except (settings.SettingsInvalid, CertificatesInvalid, CallersInvalid, CannotListen) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{interrupted} was interrupted", file=sys.stderr)
        return 130


def _parse(
    name: str, actions: Sequence[migrate_command.Action], commands: Sequence[Command[Any]]
) -> argparse.Namespace:
    parser = argparse.ArgumentParser(f"{name}-service")
    parsers = parser.add_subparsers(dest="command", required=True)
    parsers.add_parser("serve", help="serve until SIGTERM, then drain")
    migrate_command.add_parser(parsers, actions)
    for command in commands:
        command.add_arguments(parsers.add_parser(command.name, help=command.help))
    return parser.parse_args()


def _run_command(command: Command[R], arguments: argparse.Namespace, read: R) -> int:
    logs.configure(getattr(read, "log_level", "info"))

    async def run_command() -> int:
        return await command.run(arguments, read)

    try:
        return asyncio.run(run_command())
    except CommandFailed as error:
        print(f"{command.name} failed: {error}", file=sys.stderr)
        return 1


def _run_loop(read: S, build: Callable[[S], Service]) -> int:
    async def run_service() -> int:
        service = build(read)
        # What is there for good is not looked through any more: each time would stop the loop for some 60 ms.
        gc.collect()
        gc.freeze()
        code = await serve(service)
        _leave_in_time(code)
        return code

    try:
        import uvloop
    except ImportError:
        return asyncio.run(run_service())
    return uvloop.run(run_service())


def _leave_in_time(code: int) -> None:
    """Ends the process whatever hangs: asyncio would wait for work that is deaf, an interpreter for its threads."""
    leaving = threading.Timer(LEAVING_SECONDS, os._exit, (code,))
    leaving.daemon = True
    leaving.start()
