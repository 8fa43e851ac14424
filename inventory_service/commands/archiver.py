"""Archiving, restoring and dropping months, one transaction a month, told line by line."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import partial

from inventory_service.application import archive_month as use_cases
from inventory_service.application.errors import ArchiveStopped, LedgerFileDiffers
from inventory_service.application.ledger_ports import LedgerFiles
from inventory_service.application.ports import UnitOfWork
from inventory_service.domain.ledger import LedgerEntry, LedgerFile, LedgerMonth
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.transactions import Transactions
from servicekit.reports.progress import progress

EXPORTS = 3
NOTHING_OLD_ENOUGH = "nothing to archive: the ledger has no month that is old enough"


class Archiver:
    """What the sub-commands do, over one database and one folder."""

    def __init__(self, transactions: Transactions[SqlUnitOfWork], files: LedgerFiles) -> None:
        self.transactions = transactions
        self.files = files

    async def announce(self, before: LedgerMonth | None, keep: int, *, drop: bool) -> None:
        """Says what `archive` would do. Raises MonthTooYoung."""
        months = await self._archivable(before, keep)
        if not months:
            print(NOTHING_OLD_ENOUGH)
        for month in months:
            count = await self.transactions.read(partial(_count, month))
            print(f"{month}: {count} entries would be archived")
        for file in await self.transactions.read(_archived) if drop else ():
            if await self.transactions.read(partial(_keeps, file.month)):
                print(f"{file.month}: its table would be dropped")

    async def archive(self, before: LedgerMonth | None, keep: int) -> None:
        """Archives month after month, the oldest first. Raises ArchiveStopped, OSError."""
        for file in await self.transactions.read(_archived):
            self.files.describe(file)  # a run that died after a month's commit has not
        months = await self._archivable(before, keep)
        if not months:
            print(NOTHING_OLD_ENOUGH)
        for month in months:
            file = await self._archive(month)
            self.files.describe(file)
            print(f"{month}: {file.row_count} entries are in {file.name}, verified; their balances stay")

    async def restore(self, month: LedgerMonth) -> None:
        """Makes an archived month part of the ledger again. Raises ArchiveStopped."""
        restore = partial(use_cases.restore_month, month, self.files)
        await self.transactions.run(restore, name="restore")
        print(f"{month}: its entries are part of the ledger again")

    async def drop_kept(self) -> None:
        """Drops the tables that archived months left.

        Raises ArchiveStopped, once all that can go are gone, with every month whose file is not to be trusted.
        """
        stopped = []
        for file in await self.transactions.read(_archived):
            drop = partial(use_cases.drop_kept_month, file, self.files)
            try:
                if await self.transactions.run(drop, name="drop"):
                    print(f"{file.month}: {file.name} verified again, the table is dropped")
            except ArchiveStopped as error:
                stopped.append(f"{file.month}: its table stays; {error}")
        if stopped:
            raise ArchiveStopped("\n".join(stopped))

    async def list_archived(self) -> None:
        """Prints every archived month, or that there is none."""
        archived = await self.transactions.read(_archived)
        if not archived:
            print("no month is archived")
        for file in archived:
            kept = await self.transactions.read(partial(_keeps, file.month))
            print(f"{file.month}  {file.row_count:>12}  {'kept' if kept else 'dropped':<7}  {file.name}")

    async def _archivable(self, before: LedgerMonth | None, keep: int) -> list[LedgerMonth]:
        return await self.transactions.read(partial(use_cases.archivable_months, before, keep))

    async def _archive(self, month: LedgerMonth) -> LedgerFile:
        count = await self.transactions.read(partial(_count, month))
        with progress(f"{month}: writing, then reading back", 2 * count) as advance:
            files = _ToldFiles(self.files, advance)
            for _ in range(EXPORTS - 1):
                with suppress(LedgerFileDiffers):  # an entry came after the export; the next file has it
                    return await self._export_and_archive(month, files)
            return await self._export_and_archive(month, files)

    async def _export_and_archive(self, month: LedgerMonth, files: LedgerFiles) -> LedgerFile:
        file = await self.transactions.read(partial(_export, month, files))
        await self.transactions.run(partial(use_cases.archive_month, file, files), name="archive")
        return file


class _ToldFiles:
    """The files, telling how many entries went by."""

    def __init__(self, files: LedgerFiles, advance: Callable[[int], None]) -> None:
        self._files = files
        self._advance = advance

    async def write(self, month: LedgerMonth, entries: AsyncIterator[list[LedgerEntry]]) -> LedgerFile:
        return await self._files.write(month, self._told(entries))

    def describe(self, file: LedgerFile) -> None:
        self._files.describe(file)

    def entries(self, file: LedgerFile) -> Iterator[list[LedgerEntry]]:
        for batch in self._files.entries(file):
            self._advance(len(batch))
            yield batch

    async def _told(self, entries: AsyncIterator[list[LedgerEntry]]) -> AsyncIterator[list[LedgerEntry]]:
        async for batch in entries:
            self._advance(len(batch))
            yield batch


async def _export(month: LedgerMonth, files: LedgerFiles, uow: UnitOfWork) -> LedgerFile:
    return await files.write(month, uow.ledger_archive.entries(month))


async def _archived(uow: UnitOfWork) -> list[LedgerFile]:
    return await uow.ledger_archive.list_archived()


async def _count(month: LedgerMonth, uow: UnitOfWork) -> int:
    return await uow.ledger_archive.count(month)


async def _keeps(month: LedgerMonth, uow: UnitOfWork) -> bool:
    return await uow.ledger_partitions.keeps(month)
