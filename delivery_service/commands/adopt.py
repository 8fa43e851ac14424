"""`delivery-service migrate adopt` and `migrate restore BACKUP`."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.adoption.adopt import adopt
from delivery_service.adoption.backup import check_backup
from delivery_service.adoption.programs import BackupFailed, find_programs, make_of
from delivery_service.adoption.restore import put_back, stop_if_in_use
from delivery_service.adoption.run import AdoptionRefused, AdoptionUnfinished, Dialect, Request, Run
from servicekit.engines import create_engine
from servicekit.findings import Findings
from servicekit.migrate_command import Action
from servicekit.migrations import Schema
from servicekit.progress import progress

NO_BACKUP = "I have a backup of my own"


def _adopt_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dialect",
        choices=[dialect.value for dialect in Dialect],
        help="what the numbers mean: phase6 (status 6 is completed, 7 cancelled; shipping_type 0 is to a warehouse)"
        " or 2025-12 (6 is claimed, 7 delivered; shipping_type 1 is to a warehouse)",
    )
    parser.add_argument(
        "--time-zone",
        type=_zone,
        metavar="ZONE",
        help="the zone of the times, none of which say theirs (UTC)",
    )
    parser.add_argument("--dry-run", action="store_true", help="check and report; change nothing")
    parser.add_argument(
        "--backup",
        type=_path,
        default="backups",
        metavar="FOLDER",
        help="where the backup and the reports go (./backups)",
    )
    parser.add_argument(
        "--dump-program", type=Path, metavar="PATH", help="the mysqldump or mariadb-dump to use"
    )
    parser.add_argument(
        "--no-backup", metavar="PHRASE", help=f'go without a backup; the phrase is "{NO_BACKUP}"'
    )
    parser.add_argument(
        "--accept-differences", action="store_true", help="finish although the verification found differences"
    )
    _accept_sessions(parser)


def _restore_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("backup", type=_path, help="the file that adopt wrote")
    parser.add_argument(
        "--dump-program", type=Path, metavar="PATH", help="the dump program whose client to use"
    )
    parser.add_argument(
        "--discard-data", action="store_true", help="agree that what is in the database now is lost"
    )
    _accept_sessions(parser)


def _accept_sessions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accept-sessions",
        action="store_true",
        help="go on although others are connected to the database; none of them may write",
    )


def _path(name: str) -> Path:
    return Path(name).resolve()


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise argparse.ArgumentTypeError(f"{name} is no time zone, such as UTC or Asia/Shanghai") from None


async def _adopt(arguments: argparse.Namespace, schema: Schema, engine: AsyncEngine) -> int:
    if arguments.no_backup not in (None, NO_BACKUP):
        print(f'to go without a backup, say: --no-backup "{NO_BACKUP}"', file=sys.stderr)
        return 2
    request = Request(
        folder=arguments.backup,
        dialect=Dialect(arguments.dialect) if arguments.dialect else None,
        time_zone=arguments.time_zone,
        dump_program=arguments.dump_program,
        dry_run=arguments.dry_run,
        without_backup=arguments.no_backup is not None,
        accept_differences=arguments.accept_differences,
        accept_sessions=arguments.accept_sessions,
    )
    now = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    stops, oddities = (
        Findings(request.folder / f"{name}-{now}.txt") for name in ("adoption", "adoption-oddities")
    )
    # One for the lock, one for the rows, and two that each revision takes.
    own = create_engine(engine.url.render_as_string(hide_password=False), pool_size=4, for_migrations=True)
    try:
        # Of a schema that asks nobody: here the mark of the adoption hinders nothing.
        await adopt(
            Run(own, Schema(schema.service, schema.location), request, print, progress, stops, oddities)
        )
    except (AdoptionRefused, AdoptionUnfinished, BackupFailed, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        await own.dispose()
    return 0


async def _restore(arguments: argparse.Namespace, schema: Schema, engine: AsyncEngine) -> int:
    try:
        async with engine.connect() as connection:
            if not arguments.accept_sessions:
                await stop_if_in_use(connection)
            programs = await find_programs(connection, arguments.dump_program)
            await check_backup(arguments.backup, make_of(connection))
            if not arguments.discard_data:
                print(
                    "a restore drops all tables of the backup and of this service, with all that is in them now;"
                    " repeat with --discard-data",
                    file=sys.stderr,
                )
                return 1
            async with schema.locked(engine):
                await put_back(connection, programs, engine.url, arguments.backup, progress)
    except (BackupFailed, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"the database is as it was in {arguments.backup}")
    return 0


ADOPT = Action("adopt", "take over a database of the legacy system", _adopt_arguments, _adopt)
RESTORE = Action("restore", "put back the backup that adopt made", _restore_arguments, _restore)
