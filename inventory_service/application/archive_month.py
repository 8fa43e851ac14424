"""Moves a month of the ledger into the archive, and brings it back."""

from collections.abc import AsyncIterator, Iterator

from inventory_service.application.errors import LedgerFileDiffers, MonthNotArchived, MonthTooYoung
from inventory_service.application.ledger_ports import LedgerFiles
from inventory_service.application.ports import UnitOfWork
from inventory_service.domain.ledger import LedgerEntry, LedgerFile, LedgerMonth, archivable_before
from servicekit.crash_points import crash_point


async def archivable_months(before: LedgerMonth | None, keep: int, uow: UnitOfWork) -> list[LedgerMonth]:
    """The months to archive, oldest first: all before `before`, or all but the `keep` whole ones before this.

    Raises MonthTooYoung.
    """
    first_kept = archivable_before(uow.now, keep)
    if before is not None and before > first_kept:
        raise MonthTooYoung(before, first_kept)
    return [month for month in await uow.ledger_partitions.attached() if month < (before or first_kept)]


async def archive_month(file: LedgerFile, files: LedgerFiles, uow: UnitOfWork) -> None:
    """Replaces the month by balances, if the file reads back entry for entry as what the ledger says.

    Raises LedgerFileDamaged, LedgerFileDiffers.
    """
    await uow.ledger_partitions.close(file.month)
    if not await _same(files.entries(file), uow.ledger_archive.entries(file.month)):
        raise LedgerFileDiffers(file.month, file.name)
    await uow.ledger_archive.leave_balances(file)
    crash_point("archive.after_balances")
    # Last, because nobody reads or writes the ledger from here to the commit.
    await uow.ledger_partitions.detach(file.month)


async def restore_month(month: LedgerMonth, files: LedgerFiles, uow: UnitOfWork) -> None:
    """Makes an archived month part of the ledger again: its table if that was kept, else the file's entries.

    Raises MonthNotArchived, LedgerFileDamaged, LedgerFileDiffers.
    """
    file = await archived_file(month, uow)
    if await uow.ledger_partitions.keeps(month):
        await uow.ledger_partitions.take_back(month)
    else:
        await uow.ledger_partitions.make(month)
        for entries in files.entries(file):
            await uow.ledger_archive.add_entries(month, entries)
    if not await uow.ledger_archive.agrees(file):
        raise LedgerFileDiffers(month, file.name)
    await uow.ledger_archive.forget(month)
    crash_point("restore.after_balances")
    await uow.ledger_partitions.attach(month)


async def drop_kept_month(file: LedgerFile, files: LedgerFiles, uow: UnitOfWork) -> bool:
    """Drops the table of an archived month, if the file still reads as it; False where it was dropped before.

    Raises LedgerFileDamaged, LedgerFileDiffers.
    """
    if not await uow.ledger_partitions.keeps(file.month):
        return False
    if not await _same(files.entries(file), uow.ledger_archive.entries(file.month, kept=True)):
        raise LedgerFileDiffers(file.month, file.name)
    await uow.ledger_partitions.drop_kept(file.month)
    return True


async def archived_file(month: LedgerMonth, uow: UnitOfWork) -> LedgerFile:
    """The file that an archived month is in. Raises MonthNotArchived."""
    for file in await uow.ledger_archive.list_archived():
        if file.month == month:
            return file
    raise MonthNotArchived(month)


async def _same(filed: Iterator[list[LedgerEntry]], entered: AsyncIterator[list[LedgerEntry]]) -> bool:
    async for entries in entered:
        if next(filed, None) != entries:
            return False
    return next(filed, None) is None
