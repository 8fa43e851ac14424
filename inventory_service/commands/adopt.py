"""`inventory-service migrate adopt` and `migrate restore BACKUP`."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service.adoption.adopt import adopt
from inventory_service.adoption.backup import check_backup
from inventory_service.adoption.programs import BackupFailed, find_programs
from inventory_service.adoption.restore import put_back, stop_if_in_use
from inventory_service.adoption.run import AdoptionRefused, AdoptionUnfinished, Request, Run
from inventory_service.adoption.sku_map import SkuMapInvalid
from servicekit.engines import create_engine
from servicekit.findings import Findings
from servicekit.migrate_command import Action
from servicekit.migrations import Schema
from servicekit.progress import progress

NO_BACKUP = "I have a backup of my own"


def _adopt_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sku-map", type=Path, metavar="FILE.csv", help="codes of the stocks: a header id,sku"
    )
    parser.add_argument(
        "--time-zone", type=_zone, metavar="ZONE", help="the zone of times that do not say theirs"
    )
    parser.add_argument("--dry-run", action="store_true", help="check and report; change nothing")
    parser.add_argument(
        "--backup",
        type=_folder,
        default="backups",
        metavar="FOLDER",
        help="where the backup goes (./backups)",
    )
    parser.add_argument("--pg-dump", type=Path, metavar="PATH", help="the pg_dump to use")
    parser.add_argument(
        "--no-backup", metavar="PHRASE", help=f'go without a backup; the phrase is "{NO_BACKUP}"'
    )
    parser.add_argument(
        "--accept-differences", action="store_true", help="finish although the verification found differences"
    )


def _restore_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("backup", type=Path, help="the file that adopt wrote")
    parser.add_argument(
        "--pg-dump", type=Path, metavar="PATH", help="the pg_dump whose pg_restore and psql to use"
    )
    parser.add_argument(
        "--discard-data", action="store_true", help="agree that what is in the database now is lost"
    )


def _folder(name: str) -> Path:
    return Path(name).resolve()


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise argparse.ArgumentTypeError(f"{name} is no time zone, such as UTC or Europe/Berlin") from None


async def _adopt(arguments: argparse.Namespace, schema: Schema, engine: AsyncEngine) -> int:
    if arguments.no_backup not in (None, NO_BACKUP):
        print(f'to go without a backup, say: --no-backup "{NO_BACKUP}"', file=sys.stderr)
        return 2
    request = Request(
        folder=arguments.backup,
        sku_map=arguments.sku_map,
        time_zone=arguments.time_zone,
        pg_dump=arguments.pg_dump,
        dry_run=arguments.dry_run,
        without_backup=arguments.no_backup is not None,
        accept_differences=arguments.accept_differences,
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
    except (AdoptionRefused, AdoptionUnfinished, BackupFailed, SkuMapInvalid, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        await own.dispose()
    return 0


async def _restore(arguments: argparse.Namespace, schema: Schema, engine: AsyncEngine) -> int:
    try:
        async with engine.connect() as connection:
            programs = await find_programs(connection, arguments.pg_dump)
            await check_backup(programs, arguments.backup)
            if not arguments.discard_data:
                print(
                    "a restore drops the schema inventory with all that is in it now; repeat with --discard-data",
                    file=sys.stderr,
                )
                return 1
            await stop_if_in_use(connection)
            async with schema.locked(engine):
                with progress("restoring", 1) as advance:
                    await put_back(connection, programs, engine.url, arguments.backup)
                    advance(1)
    except BackupFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(f"the schema inventory is as it was in {arguments.backup}")
    return 0


ADOPT = Action("adopt", "take over a database of the legacy system", _adopt_arguments, _adopt)
RESTORE = Action("restore", "put back the backup that adopt made", _restore_arguments, _restore)
