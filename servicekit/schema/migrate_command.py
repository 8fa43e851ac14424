"""`<service> migrate …`: status, plan, upgrade, downgrade, and what a service adds of its own."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import event
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.errors import DatabaseUnavailable
from servicekit.persistence.conflicts import connection_lost
from servicekit.persistence.engines import create_engine
from servicekit.reports.progress import progress
from servicekit.schema.hindrances import Hindered
from servicekit.schema.migrations import MigrationLocked, Schema, SchemaAhead, UnknownRevision

log = structlog.get_logger("migrations")

_AWAY = "the database cannot be reached"


@dataclass(frozen=True)
class Action:
    """What a service adds to `migrate`.

    `run` gets an engine with two connections that lives as long as the action; it answers the exit code. What it
    raises is told in one line, with exit code 1.
    """

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Schema, AsyncEngine], Awaitable[int]]


def add_parser(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", further: Sequence[Action] = ()
) -> None:
    """Adds `migrate` to a service's command line, with its `further` actions."""
    parser = commands.add_parser("migrate", help="bring the database's schema to what this build expects")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser(
        "status", help="say what is applied and what is pending; exit 3 unless all is as expected"
    )
    actions.add_parser("plan", help="list the revisions that an upgrade would apply")
    upgrade = actions.add_parser("upgrade", help="apply what is pending")
    upgrade.add_argument(
        "revision", nargs="?", default="head", help="stop at this revision (default: the newest)"
    )
    downgrade = actions.add_parser("downgrade", help="take revisions back")
    downgrade.add_argument("revision", help='the revision to go back to, or "base" for an empty database')
    downgrade.add_argument(
        "--discard-data", action="store_true", help="agree that what the revisions hold is lost"
    )
    parser.set_defaults(further=None)
    for action in further:
        own = actions.add_parser(action.name, help=action.help)
        action.add_arguments(own)
        own.set_defaults(further=action)


def run(arguments: argparse.Namespace, schema: Schema, url: str) -> int:
    """Runs the chosen action and answers the exit code."""
    try:
        return asyncio.run(_run(arguments, schema, url))
    except KeyboardInterrupt:
        print(f"migrate {arguments.action} was interrupted", file=sys.stderr)
        return 130
    except UnknownRevision as error:
        known = ", ".join(revision.id for revision in schema.history())
        print(f"no revision {error}; there are: {known}", file=sys.stderr)
    except (MigrationLocked, SchemaAhead, Hindered) as error:
        print(error, file=sys.stderr)
    except (
        Exception
    ) as error:  # the database's, alembic's, or a revision's that found the data not as it must be
        log.debug("migration failed", exc_info=error)
        reason = getattr(error, "orig", None) or error
        if isinstance(error, DBAPIError) and connection_lost(error):
            reason = f"{_AWAY}: {reason}"
        print(f"migrate {arguments.action} failed: {reason}", file=sys.stderr)
    return 1


async def _run(arguments: argparse.Namespace, schema: Schema, url: str) -> int:
    engine = create_engine(url, pool_size=2, for_migrations=True)
    event.listen(engine.sync_engine, "do_connect", _connect)
    try:
        if arguments.further is not None:
            action: Action = arguments.further
            return await action.run(arguments, schema, engine)
        serving = await schema.serving(engine)
        applied = serving.applied
        pending = schema.pending(applied)
        hindrance = await schema.hindrance(engine)
        if arguments.action == "status":
            print(f"applied: {applied or 'nothing'}\nexpected: {schema.expected}\npending: {len(pending)}")
            if applied and not serving.known:
                print(f"ahead: {serving.told}; {serving.remedy}")
            if hindrance:
                print(f"hindered: {hindrance}")
            return 0 if applied == schema.expected and not hindrance else 3
        if arguments.action == "plan":
            if hindrance:
                raise Hindered(hindrance)
            for revision in pending:
                print(f"{revision.id}  {revision.description}")
            return 0
        if arguments.action == "upgrade":
            await schema.upgrade(engine, arguments.revision, progress)
        elif arguments.discard_data:
            await schema.downgrade(engine, arguments.revision)
        else:
            print(
                "a downgrade drops tables and columns with all that is in them, commands to the other service\n"
                "included; have a backup, and repeat with --discard-data",
                file=sys.stderr,
            )
            return 1
        print(
            f"{schema.service}: schema at {await schema.applied(engine) or 'nothing'}, was {applied or 'nothing'}"
        )
        return 0
    finally:
        await engine.dispose()


def _connect(dialect: Dialect, _record: object, arguments: list[Any], options: dict[str, Any]) -> object:
    """Connects. A driver that answers OSError speaks here of the database; anywhere else that may be a file."""
    try:
        return dialect.connect(*arguments, **options)
    except OSError as error:
        raise DatabaseUnavailable(f"{_AWAY}: {error or type(error).__name__}") from error
