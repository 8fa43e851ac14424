"""What is found and what becomes of it, in a table that an operator reads."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One kind of thing: how much of it is there, and what it becomes."""

    what: str
    found: str
    becomes: str


def table_of(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under their heads, as wide as they need to be."""
    widths = [max(len(row[number]) for row in (head, *rows)) for number in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)
