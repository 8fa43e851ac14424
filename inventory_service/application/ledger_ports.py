"""What the use cases need of the ledger's months: their partitions, what left for the archive, its files."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from inventory_service.domain.ledger import LedgerEntry, LedgerFile, LedgerMonth

ENTRIES_AT_ONCE = 10_000
"""Entries travel in lists of so many, the last one shorter."""


class LedgerPartitions(Protocol):
    """The partitions of the ledger. What changes them waits for locks in short turns, so that writers go on."""

    async def attached(self) -> list[LedgerMonth]:
        """The months that have a partition with exactly their bounds, in order."""
        ...

    async def strays(self) -> Mapping[LedgerMonth, int]:
        """The entries that have no partition of their own, by month; they count like all others.

        No month leaves the ledger, or comes back, between this look and the end of its transaction.
        """
        ...

    async def begin_change(self) -> bool:
        """Whether this transaction is the only one that makes partitions."""
        ...

    async def is_named(self, month: LedgerMonth) -> bool:
        """Whether a table bears the name of the month's, be it part of the ledger or not."""
        ...

    async def make(self, month: LedgerMonth) -> None:
        """Makes a month's table, which is not part of the ledger yet."""
        ...

    async def attach(self, month: LedgerMonth) -> None:
        """Makes the month's table part of the ledger, and moves strays of the month into it."""
        ...

    async def close(self, month: LedgerMonth) -> None:
        """Keeps late entries out of the month until the transaction ends; readers go on."""
        ...

    async def detach(self, month: LedgerMonth) -> None:
        """Takes the month's table out of the ledger and keeps it under another name."""
        ...

    async def keeps(self, month: LedgerMonth) -> bool:
        """Whether the table of a month that was detached is still there."""
        ...

    async def take_back(self, month: LedgerMonth) -> None:
        """Gives the table of a month that was detached its name again."""
        ...

    async def drop_kept(self, month: LedgerMonth) -> None:
        """Drops the table of a month that was detached."""
        ...


class LedgerArchive(Protocol):
    """What is known of archived months, and the entries of one month."""

    async def list_archived(self) -> list[LedgerFile]:
        """The files of all archived months, in order."""
        ...

    async def archived_before(self) -> datetime | None:
        """When the last archived month ended; None while nothing is archived."""
        ...

    async def count(self, month: LedgerMonth) -> int:
        """The entries in the month's table."""
        ...

    def entries(self, month: LedgerMonth, *, kept: bool = False) -> AsyncIterator[list[LedgerEntry]]:
        """The entries of the month's table, or of the one `kept` of it, in the order of time and number."""
        ...

    async def add_entries(self, month: LedgerMonth, entries: Sequence[LedgerEntry]) -> None:
        """Writes entries into a table that is not part of the ledger yet."""
        ...

    async def leave_balances(self, file: LedgerFile) -> None:
        """Enters what the month brought to each stock, and the file that it is in."""
        ...

    async def agrees(self, file: LedgerFile) -> bool:
        """Whether the month's table has as many entries as the file, and brings what the balances say."""
        ...

    async def forget(self, month: LedgerMonth) -> None:
        """Removes the balances of a month and the name of its file."""
        ...


class LedgerFiles(Protocol):
    """The archive's folder."""

    async def write(self, month: LedgerMonth, entries: AsyncIterator[list[LedgerEntry]]) -> LedgerFile:
        """Writes a month, durably; the same entries again give the same file. Raises OSError."""
        ...

    def describe(self, file: LedgerFile) -> None:
        """Writes the manifest of an archived month beside its file, durably. Raises OSError.

        Does nothing where the file is not in the folder, or has its manifest.
        """
        ...

    def entries(self, file: LedgerFile) -> Iterator[list[LedgerEntry]]:
        """The entries of a file, in their order, in the lists in which they were written.

        Raises LedgerFileDamaged before the first entry where the file is not what was written.
        """
        ...
