"""`<service> migrate adopt` and `migrate restore BACKUP`: what operators say to both services."""

import argparse
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.adoption.backup import BackupFailed, refuse_folder
from servicekit.adoption.run import AdoptionRefused, AdoptionUnfinished, Request, Run
from servicekit.persistence.engines import create_engine
from servicekit.reports.findings import Findings
from servicekit.reports.progress import progress
from servicekit.schema.migrations import Schema

NO_BACKUP = "I have a backup of my own"

R = TypeVar("R", bound=Request)
N = TypeVar("N", bound=Run[Any])


def add_adopt_arguments(
    parser: argparse.ArgumentParser, *, zone: str, dump_option: str, dump_program: str
) -> None:
    """The options of adopt; `zone` and `dump_program` say what theirs are, the latter named by `dump_option`."""
    parser.add_argument("--time-zone", type=_zone, metavar="ZONE", help=zone)
    parser.add_argument("--dry-run", action="store_true", help="check and report; change nothing")
    parser.add_argument(
        "--backup",
        type=_path,
        default="backups",
        metavar="FOLDER",
        help="where the backup and the reports go (./backups)",
    )
    _add_dump_program(parser, dump_option, dump_program)
    parser.add_argument(
        "--no-backup", metavar="PHRASE", help=f'go without a backup; the phrase is "{NO_BACKUP}"'
    )
    parser.add_argument(
        "--accept-differences", action="store_true", help="finish although the verification found differences"
    )


def add_restore_arguments(parser: argparse.ArgumentParser, *, dump_option: str, dump_program: str) -> None:
    """The arguments of restore."""
    parser.add_argument("backup", type=_path, help="the file that adopt wrote")
    _add_dump_program(parser, dump_option, dump_program)
    parser.add_argument(
        "--discard-data", action="store_true", help="agree that what is in the database now is lost"
    )


def _add_dump_program(parser: argparse.ArgumentParser, option: str, says: str) -> None:
    parser.add_argument(option, dest="dump_program", type=Path, metavar="PATH", help=says)


def _path(name: str) -> Path:
    return Path(name).resolve()


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise argparse.ArgumentTypeError(f"{name} is no time zone, such as UTC or Europe/Berlin") from None


def request(arguments: argparse.Namespace, kind: type[R], **own: object) -> R:
    """What the options ask for; `own` is what this service's request has beside."""
    return kind(
        folder=arguments.backup,
        time_zone=arguments.time_zone,
        dump_program=arguments.dump_program,
        dry_run=arguments.dry_run,
        without_backup=arguments.no_backup is not None,
        accept_differences=arguments.accept_differences,
        **own,
    )


async def run_adoption(
    arguments: argparse.Namespace,
    schema: Schema,
    engine: AsyncEngine,
    asked: Request,
    kind: type[N],
    adopt: Callable[[N], Awaitable[None]],
) -> int:
    """Runs an adoption with an engine and reports of its own; answers the exit code."""
    if arguments.no_backup not in (None, NO_BACKUP):
        print(f'to go without a backup, say: --no-backup "{NO_BACKUP}"', file=sys.stderr)
        return 2
    now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    stops, oddities = (
        Findings(asked.folder / f"{name}-{now}.txt") for name in ("adoption", "adoption-oddities")
    )
    # What hinders other moves of a schema that is being adopted must not hinder this one.
    free = Schema(schema.service, schema.location)
    # One for the lock, one for the rows, and two that each revision takes.
    own = create_engine(engine.url.render_as_string(hide_password=False), pool_size=4, for_migrations=True)
    try:
        refuse_folder(asked.folder)
        await adopt(kind(own, free, asked, print, progress, stops, oddities))
    except (AdoptionRefused, AdoptionUnfinished, BackupFailed) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        await own.dispose()
    return 0
