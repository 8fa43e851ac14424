"""Prints the entries of an archived month."""

import csv
import os
import sys
from functools import partial

from inventory_service.application.archive_month import archived_file
from inventory_service.commands.archiver import Archiver
from inventory_service.domain.ledger import LedgerEntry, LedgerMonth


async def print_month(archiver: Archiver, month: LedgerMonth, sku: str | None, *, as_csv: bool) -> None:
    """Prints what the month's file has, the oldest first. Raises MonthNotArchived, LedgerFileDamaged."""
    file = await archiver.transactions.read(partial(archived_file, month))
    table = csv.writer(sys.stdout, lineterminator="\n")
    try:
        if as_csv:
            table.writerow(LedgerEntry._fields)
        for entries in archiver.files.entries(file):
            wanted = [entry for entry in entries if sku is None or entry.sku == sku]
            if as_csv:
                table.writerows(wanted)
            else:
                sys.stdout.writelines(map(_line, wanted))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has enough; what the interpreter still flushes at its end must go somewhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _line(entry: LedgerEntry) -> str:
    name = entry.sku or str(entry.stock_id)
    words = " ".join(filter(None, (entry.reference, entry.reservation_id, entry.note)))
    time = f"{entry.create_time:%Y-%m-%d %H:%M:%S}"
    return f"{time}  {name:<24} {entry.delta:>+11}  {entry.reason:<16} {entry.actor}  {words}".rstrip() + "\n"
