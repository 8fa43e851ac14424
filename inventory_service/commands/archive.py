"""`inventory-service archive [list | read | restore]`: whole past months of the ledger, out to Parquet and back."""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from inventory_service.application.errors import ArchiveStopped
from inventory_service.commands.archive_reading import print_month
from inventory_service.commands.archiver import Archiver
from inventory_service.domain.ledger import LedgerMonth
from inventory_service.persistence.locks import Lock, lock_of_process
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from inventory_service.settings import Archive
from servicekit.errors import ConcurrentUpdate, DatabaseUnavailable
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from servicekit.process.command_line import Command, CommandFailed
from servicekit.schema.migrations import Schema

LEAST_KEPT = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `archive` and its sub-commands."""
    parser.add_argument("--before", type=_month, metavar="YYYY-MM", help="archive the months before this one")
    parser.add_argument(
        "--keep",
        type=_months,
        metavar="MONTHS",
        help=f"whole months before the current one that stay in any case (default {LEAST_KEPT})",
    )
    _add_folder(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument(
        "--drop",
        action="store_true",
        help="then drop the tables of archived months, each once its file was verified again",
    )
    actions = parser.add_subparsers(dest="archive_action")
    actions.add_parser("list", help="list the archived months")
    read = actions.add_parser("read", help="print the entries of an archived month")
    read.add_argument("month", type=_month, metavar="YYYY-MM")
    read.add_argument("--sku", help="only the entries of this stock")
    read.add_argument("--csv", action="store_true", help="print every column as CSV")
    _add_folder(read)
    restore = actions.add_parser("restore", help="make an archived month part of the ledger again")
    restore.add_argument("month", type=_month, metavar="YYYY-MM")
    _add_folder(restore)


async def run(arguments: argparse.Namespace, settings: Archive) -> int:
    """Does what is asked. Raises CommandFailed."""
    given = (arguments.before, arguments.keep is not None, arguments.dry_run, arguments.drop)
    if arguments.archive_action and any(given):
        raise CommandFailed(
            f"--before, --keep, --dry-run and --drop are no options of {arguments.archive_action}"
        )
    keep = LEAST_KEPT if arguments.keep is None else arguments.keep
    try:
        async with _archiver(arguments, settings) as archiver:
            if arguments.archive_action == "list":
                await archiver.list_archived()
            elif arguments.archive_action == "read":
                await print_month(archiver, arguments.month, arguments.sku, as_csv=arguments.csv)
            elif arguments.archive_action == "restore":
                await archiver.restore(arguments.month)
            elif arguments.dry_run:
                await archiver.announce(arguments.before, keep, drop=arguments.drop)
            else:
                await archiver.archive(arguments.before, keep)
                if arguments.drop:
                    await archiver.drop_kept()
    except (ArchiveStopped, OSError) as error:
        raise CommandFailed(str(error)) from error
    except DBAPIError as error:
        raise CommandFailed(str(error.orig)) from error
    except ConcurrentUpdate as error:
        raise CommandFailed("the ledger was busy all the time; nothing is half done, try again") from error
    except DatabaseUnavailable as error:
        raise CommandFailed("the database cannot be reached; nothing is half done, try again") from error
    return 0


ARCHIVE = Command(
    "archive", "move past months of the ledger to Parquet files, and back", add_arguments, Archive, run
)


@asynccontextmanager
async def _archiver(arguments: argparse.Namespace, settings: Archive) -> AsyncIterator[Archiver]:
    # Here, for it loads Arrow, which no server should carry.
    from inventory_service.gateways.ledger_folder import LedgerFolder

    folder = _folder(arguments, settings)
    looks_only = arguments.archive_action in ("list", "read") or arguments.dry_run
    engine = create_engine(settings.database_url, pool_size=3, for_migrations=True)
    try:
        serving = await Schema("inventory").serving(engine)
        if not serving.level:
            raise CommandFailed(f"{serving.told}; first: {serving.remedy}")
        archiver = Archiver(Transactions(engine, SqlUnitOfWork, most_seconds=None), LedgerFolder(folder))
        if looks_only:
            yield archiver
            return
        async with lock_of_process(engine, Lock.ARCHIVE) as alone:
            if not alone:
                raise CommandFailed(
                    "another archive command is at work on this database; try again when it ended"
                )
            yield archiver
    finally:
        await engine.dispose()


def _folder(arguments: argparse.Namespace, settings: Archive) -> Path:
    folder = getattr(arguments, "folder", "") or settings.archive_dir
    if arguments.archive_action == "list" or (arguments.dry_run and not folder):
        return Path()  # the database knows it all
    if not folder:
        raise CommandFailed("say where the files are: --folder FOLDER or INVENTORY_ARCHIVE_DIR")
    if not Path(folder).is_dir():
        raise CommandFailed(f"there is no folder {folder}; make it first")
    return Path(folder)


def _add_folder(parser: argparse.ArgumentParser) -> None:
    # No default: that of a sub-command would replace what was given before its name.
    parser.add_argument(
        "--folder", default=argparse.SUPPRESS, help="the archive's folder (default: INVENTORY_ARCHIVE_DIR)"
    )


def _month(written: str) -> LedgerMonth:
    try:
        return LedgerMonth.parse(written)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _months(written: str) -> int:
    if not (written.isascii() and written.isdecimal() and int(written) <= 1200):
        raise argparse.ArgumentTypeError("must be a number of months from 0 to 1200")
    return int(written)
