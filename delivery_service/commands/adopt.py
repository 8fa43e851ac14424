"""`delivery-service migrate adopt` and `migrate restore BACKUP`."""

import argparse
import sys

from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.adoption.adopt import adopt
from delivery_service.adoption.backup import check_backup
from delivery_service.adoption.programs import find_programs, make_of
from delivery_service.adoption.restore import put_back, stop_if_in_use
from delivery_service.adoption.run import Dialect, Request, Run
from servicekit.adoption.backup import BackupFailed
from servicekit.adoption.command import add_adopt_arguments, add_restore_arguments, request, run_adoption
from servicekit.reports.progress import progress
from servicekit.schema.migrate_command import Action
from servicekit.schema.migrations import Schema


def _adopt_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dialect",
        choices=[dialect.value for dialect in Dialect],
        help="what the numbers mean: phase6 (status 6 is completed, 7 cancelled; shipping_type 0 is to a warehouse)"
        " or 2025-12 (6 is claimed, 7 delivered; shipping_type 1 is to a warehouse)",
    )
    add_adopt_arguments(
        parser,
        zone="the zone of the times, none of which say theirs (UTC)",
        dump_option="--dump-program",
        dump_program="the mysqldump or mariadb-dump to use",
    )
    _accept_sessions(parser)


def _restore_arguments(parser: argparse.ArgumentParser) -> None:
    add_restore_arguments(
        parser, dump_option="--dump-program", dump_program="the dump program whose client to use"
    )
    _accept_sessions(parser)


def _accept_sessions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accept-sessions",
        action="store_true",
        help="go on although others are connected to the database; none of them may write",
    )


async def _adopt(arguments: argparse.Namespace, schema: Schema, engine: AsyncEngine) -> int:
    asked = request(
        arguments,
        Request,
        dialect=Dialect(arguments.dialect) if arguments.dialect else None,
        accept_sessions=arguments.accept_sessions,
    )
    return await run_adoption(arguments, schema, engine, asked, Run, adopt)


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
    except BackupFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(f"the database is as it was in {arguments.backup}")
    return 0


ADOPT = Action("adopt", "take over a database of the legacy system", _adopt_arguments, _adopt)
RESTORE = Action("restore", "put back the backup that adopt made", _restore_arguments, _restore)
