"""`inventory-service import FILE.csv`: sets stocks to what a file says, once, through the service."""

import argparse
import asyncio
import hashlib
import shlex
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

from google.protobuf.field_mask_pb2 import FieldMask
from holdfast.inventory.v1 import transfer_pb2 as pb

from inventory_service.commands import connection, stock_csv
from inventory_service.commands.connection import FAILED, MOST_SECONDS, Connection
from inventory_service.commands.import_problems import UnreadableRows
from inventory_service.settings import Client
from servicekit.process.command_line import Command
from servicekit.reports.progress import progress

MOST_TOLD = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `import`."""
    parser.add_argument("file", metavar="FILE.csv", help="the stocks, as export writes them; - reads stdin")
    parser.add_argument(
        "--import-id",
        metavar="ID",
        help="a row is applied once under this name (default: made of the file's content, so that the same file"
        " again is the same import)",
    )
    parser.add_argument("--validate-only", action="store_true", help="judge every row and change nothing")
    connection.add_arguments(parser)


async def run(arguments: argparse.Namespace, settings: Client) -> int:
    """Answers 0 if every row was applied, 1 if some were refused, FAILED if it is not known or none was sent.

    A file whose header, encoding or quotes are wrong is not sent; of any other the good rows are applied.
    """
    try:
        with _readable(arguments.file) as path:
            rows = _count(path)
            if rows is None:
                return FAILED
            options = _options(arguments, path)
            again = f"what was applied is not applied again: repeat with {_named(options)}"

            async def work(service: Connection) -> int:
                return await _import(service, path, rows, options)

            try:
                return await connection.call(arguments, settings, work, again)
            except asyncio.CancelledError:
                print(again, file=sys.stderr)
                raise
    except OSError as error:
        print(f"import failed: cannot read {arguments.file}: {error.strerror}", file=sys.stderr)
        return FAILED


IMPORT = Command(
    "import", "set stocks to what a CSV file says, through the service", add_arguments, Client, run
)


@contextmanager
def _readable(name: str) -> Iterator[Path]:
    """The file; what comes from stdin is kept in a temporary one, because it is read more than once."""
    if name != "-":
        yield Path(name)
        return
    with tempfile.NamedTemporaryFile(suffix=".csv") as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
        kept.flush()
        yield Path(kept.name)


def _count(path: Path) -> int | None:
    """How many rows the file has; None, with its problems told, if the whole file must be refused."""
    rows = problems = 0
    for found in stock_csv.read(path):
        if isinstance(found, stock_csv.CsvRow):
            rows += 1
            continue
        problems += 1
        if problems <= MOST_TOLD:
            print(found, file=sys.stderr)
    if not problems:
        return rows
    some = "1 problem" if problems == 1 else f"{problems} problems"
    more = f", {problems - MOST_TOLD} more than are shown" if problems > MOST_TOLD else ""
    print(f"import failed: the file has {some}{more}; nothing was sent", file=sys.stderr)
    return None


def _options(arguments: argparse.Namespace, path: Path) -> pb.ImportOptions:
    import_id = arguments.import_id
    if import_id is None:
        with path.open("rb") as file:
            import_id = f"csv-{hashlib.file_digest(file, 'sha256').hexdigest()[:40]}"
    options = pb.ImportOptions(import_id=import_id, validate_only=arguments.validate_only)
    if columns := stock_csv.details_columns(path):
        options.update_mask.CopyFrom(FieldMask(paths=columns))
    return options


async def _import(service: Connection, path: Path, rows: int, options: pb.ImportOptions) -> int:
    unreadable = UnreadableRows()
    # The service answers at the end alone, and the transport takes rows ahead of it: what is applied is not known here.
    with progress("import, rows sent", rows) as advance:

        async def messages() -> AsyncIterator[pb.ImportStocksRequest]:
            yield pb.ImportStocksRequest(options=options)
            for row in stock_csv.read(path):
                if not isinstance(row, stock_csv.CsvRow):
                    raise OSError(0, "it changed while it was read")
                unreadable.note(row)
                yield pb.ImportStocksRequest(row=row.message)
                advance(1)

        done = await service.stub.ImportStocks(messages(), metadata=service.metadata, timeout=MOST_SECONDS)
    for line in unreadable.lines_with(done):
        print(line, file=sys.stderr)
    return _tell(done, options, service.address)


def _tell(done: pb.ImportStocksResponse, options: pb.ImportOptions, address: str) -> int:
    verb = "would import" if options.validate_only else "imported"
    print(
        f"{verb} into {address}: {done.created_count} created, {done.updated_count} updated,"
        f" {done.unchanged_count} unchanged, {done.refused_count} refused; {_named(options)}"
    )
    if not done.refused_count:
        return 0
    if not options.validate_only:
        again = f"the others stay as they are now: mend these rows and repeat with {_named(options)}"
        print(again, file=sys.stderr)
    return 1


def _named(options: pb.ImportOptions) -> str:
    """The words that name the import to a shell; they end a line, since an id may hold any punctuation."""
    return f"--import-id {shlex.quote(options.import_id)}"
