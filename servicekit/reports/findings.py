"""What checks found: counted, the first of each shown, all of them written to a file."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

SHOWN = 20


@dataclass(frozen=True)
class Check:
    """One rule; `says` names what breaks it, `select` answers (row, problem) for each violation."""

    says: str
    select: str


class Findings:
    """Rows by what is said of them, with bounded memory; the first one makes the file that takes the whole list."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._counts: Counter[str] = Counter()
        self._first: defaultdict[str, list[str]] = defaultdict(list)
        self._open: TextIO | None = None

    def add(self, says: str, row: str, problem: str = "") -> None:
        """Notes one row that breaks a rule."""
        line = f"{row} ({problem})" if problem else row
        self._counts[says] += 1
        if self._counts[says] <= SHOWN:
            self._first[says].append(line)
        if self._open is None:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._open = self.file.open("w", encoding="utf-8")
        self._open.write(f"{says}: {line}\n")

    async def run(self, connection: AsyncConnection, check: Check) -> None:
        """Notes every row that a check selects."""
        async with connection.stream(text(check.select)) as rows:
            async for row in rows:
                self.add(check.says, str(row.row), str(row.problem or ""))

    def close(self) -> None:
        """Lets go of the file."""
        if self._open is not None:
            self._open.close()

    @property
    def count(self) -> int:
        """How many there are."""
        return self._counts.total()

    def lines(self) -> list[str]:
        """Each rule with its count and its first rows, then where the rest is; nothing where nothing was found."""
        told = []
        for says, count in self._counts.items():
            told.append(f"{says}: {count}")
            told += [f"  {line}" for line in self._first[says]]
            if count > SHOWN:
                told.append(f"  … and {count - SHOWN} more")
        return [*told, f"all {self.count} of them are in {self.file}"] if told else []
