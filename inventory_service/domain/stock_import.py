"""What an import asks of one stock, and what it is told about the rows that cannot be taken."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from inventory_service.domain.commands import Actor


@dataclass(frozen=True)
class ImportProblem:
    """One thing wrong with one row; `line` is where its file has it."""

    line: int
    sku: str
    field: str
    description: str


@dataclass(frozen=True)
class ImportRow:
    """Set a stock to so many units, and write values of its details, by name.

    A row with `problems` breaks the contract by itself; all it does is to name its sku, unless that too is unsound.
    """

    line: int
    sku: str
    quantity: int
    changes: Mapping[str, Any]
    problems: tuple[ImportProblem, ...] = ()
    sku_is_sound: bool = True


@dataclass(frozen=True)
class Import:
    """What counts for all rows; `stream_id` tells this call from others with the same import_id."""

    import_id: str
    stream_id: UUID
    validate_only: bool
    actor: Actor


@dataclass
class ImportOutcome:
    """What became of some rows: how many of each kind, and what is wrong with those refused."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    problems: list[ImportProblem] = field(default_factory=list)

    def refuse(self, *problems: ImportProblem) -> None:
        """Counts one row as refused."""
        self.refused += 1
        self.problems.extend(problems)
