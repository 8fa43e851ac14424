"""What stops the archiving of the ledger; the operator reads the sentence."""

from dataclasses import dataclass

from inventory_service.domain.ledger import LedgerMonth


class ArchiveStopped(Exception):
    """The ledger is as it was before."""


@dataclass(eq=False)
class LedgerFileDamaged(ArchiveStopped):
    """A file of the archive is not there, or not what was written."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"the archive's file {self.name} cannot be trusted: {self.why}"


@dataclass(eq=False)
class LedgerFileDiffers(ArchiveStopped):
    """A file does not say what the ledger says, perhaps because an entry came late."""

    month: LedgerMonth
    name: str

    def __str__(self) -> str:
        return f"the file {self.name} does not say what the ledger says of {self.month}"


@dataclass(eq=False)
class MonthNotArchived(ArchiveStopped):
    """The month is not in the archive."""

    month: LedgerMonth

    def __str__(self) -> str:
        return f"{self.month} is not archived; ListMovements has what there is of it"


@dataclass(eq=False)
class MonthTooYoung(ArchiveStopped):
    """The month is one of those that stay in the ledger."""

    before: LedgerMonth
    first_kept: LedgerMonth

    def __str__(self) -> str:
        return f"only months before {self.first_kept} may be archived, not all before {self.before}"
