"""`inventory-service export [FILE.csv]`: writes stocks as `import` reads them, through the service."""

import argparse
import csv
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from holdfast.inventory.v1 import stock_pb2
from holdfast.inventory.v1 import transfer_pb2 as pb

from inventory_service.commands import connection, stock_csv
from inventory_service.commands.connection import FAILED, MOST_SECONDS, Connection
from inventory_service.settings import Client
from servicekit.process.command_line import Command
from servicekit.reports.progress import progress

UNREAD = 141
"""The exit code of a shell for a program whose reader went away (SIGPIPE), so that `| gzip` cannot end short unseen."""
_PREFIX = "STOCK_STATUS_"
STATUSES = [name.removeprefix(_PREFIX).lower() for name in stock_pb2.StockStatus.keys()[1:]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `export`."""
    parser.add_argument(
        "file", nargs="?", default="-", metavar="FILE.csv", help="where to write (default: stdout)"
    )
    parser.add_argument("--sku-prefix", default="", metavar="PREFIX", help="only codes that begin so")
    parser.add_argument("--status", choices=STATUSES, help="only stocks in this status")
    connection.add_arguments(parser)


async def run(arguments: argparse.Namespace, settings: Client) -> int:
    """Answers 0 once every stock is written, FAILED if not all are; a file is then left as it was.

    Where nobody reads stdout any more it says nothing and answers UNREAD.
    """
    word = arguments.status or "unspecified"
    status = stock_pb2.StockStatus.Value(f"{_PREFIX}{word.upper()}")
    request = pb.ExportStocksRequest(sku_prefix=arguments.sku_prefix, status=status)

    async def work(service: Connection) -> int:
        with _writable(arguments.file) as file, progress("export", None) as advance:
            stocks = await _export(service, request, file, advance)
        print(f"exported {stocks} stock{'' if stocks == 1 else 's'}", file=sys.stderr)
        return 0

    try:
        return await connection.call(arguments, settings, work, "the export is not complete; repeat it")
    except BrokenPipeError:
        # Whoever read stdout has enough; the interpreter would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD
    except OSError as error:
        print(f"export failed: cannot write {arguments.file}: {error.strerror}", file=sys.stderr)
        return FAILED


EXPORT = Command("export", "write stocks to a CSV file, through the service", add_arguments, Client, run)


async def _export(
    service: Connection, request: pb.ExportStocksRequest, file: TextIO, advance: Callable[[int], None]
) -> int:
    """Answers how many stocks were written."""
    stocks = 0
    records = csv.writer(file)
    records.writerow(stock_csv.COLUMNS)
    async for answer in service.stub.ExportStocks(request, metadata=service.metadata, timeout=MOST_SECONDS):
        records.writerow(stock_csv.record(answer.stock))
        stocks += 1
        advance(1)
    file.flush()
    return stocks


@contextmanager
def _writable(name: str) -> Iterator[TextIO]:
    """Stdout, or a file that takes its name only when all of it is written."""
    if name == "-":
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr]
        yield sys.stdout
        return
    path = Path(name)
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
