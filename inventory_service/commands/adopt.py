"""`inventory-service migrate adopt` and `migrate restore BACKUP`."""

import argparse
import sys
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service.adoption.adopt import adopt
from inventory_service.adoption.backup import check_backup
from inventory_service.adoption.programs import find_programs
from inventory_service.adoption.restore import put_back, stop_if_in_use
from inventory_service.adoption.run import Request, Run
from servicekit.adoption.backup import BackupFailed
from servicekit.adoption.command import add_adopt_arguments, add_restore_arguments, request, run_adoption
from servicekit.reports.progress import progress
from servicekit.schema.migrate_command import Action
from servicekit.schema.migrations import Schema


def _adopt_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sku-map", type=Path, metavar="FILE.csv", help="codes of the stocks: a header id,sku"
    )
    add_adopt_arguments(
        parser,
        zone="the zone of times that do not say theirs",
        dump_option="--pg-dump",
        dump_program="the pg_dump to use",
    )


def _restore_arguments(parser: argparse.ArgumentParser) -> None:
    add_restore_arguments(
        parser, dump_option="--pg-dump", dump_program="the pg_dump whose pg_restore and psql to use"
    )


async def _adopt(arguments: argparse.Namespace, schema: Schema, engine: AsyncEngine) -> int:
    asked = request(arguments, Request, sku_map=arguments.sku_map)
    return await run_adoption(arguments, schema, engine, asked, Run, adopt)


async def _restore(arguments: argparse.Namespace, schema: Schema, engine: AsyncEngine) -> int:
    try:
        async with engine.connect() as connection:
            programs = await find_programs(connection, arguments.dump_program)
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
