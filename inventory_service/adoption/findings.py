"""What checks found: counted, the first of each shown, all of them written to a file."""

from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.adoption.checks import Check

SHOWN = 20


class Rows:
    """Rows by what is said of them, with bounded memory: all are counted, the first of each are shown."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, says: str, row: str, problem: str) -> None:
        """Notes one row."""
        self._counts[says] += 1
        if self._counts[says] <= SHOWN:
            self._first[says].append(_line(row, problem))

    async def run(self, connection: AsyncConnection, check: Check) -> None:
        """Notes every row that a check selects."""
        async with connection.stream(text(check.select)) as rows:
            async for row in rows:
                self.add(check.says, row.row, row.problem or "")

    @property
    def count(self) -> int:
        """How many there are."""
        return self._counts.total()

    def lines(self) -> list[str]:
        """Each thing that is said, with its count and its first rows."""
        told = []
        for says, count in self._counts.items():
            told.append(f"{says}: {count}")
            told += [f"  {line}" for line in self._first[says]]
            if count > SHOWN:
                told.append(f"  … and {count - SHOWN} more")
        return told


class Findings(Rows):
    """Every violation; a file of the folder, made by the first one, takes the whole list."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.file = folder / f"adoption-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.txt"
        self._open: TextIO | None = None

    def add(self, says: str, row: str, problem: str) -> None:
        """Notes one violation of a rule."""
        super().add(says, row, problem)
        if self._open is None:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._open = self.file.open("w", encoding="utf-8")
        self._open.write(f"{says}: {_line(row, problem)}\n")

    def close(self) -> None:
        """Lets go of the file."""
        if self._open is not None:
            self._open.close()

    def lines(self) -> list[str]:
        """The same, then where the rest is; nothing where nothing was found."""
        told = super().lines()
        return [*told, f"all {self.count} of them are in {self.file}"] if told else []


def _line(row: str, problem: str) -> str:
    return f"{row} ({problem})" if problem else row
