"""The months of the ledger: what they are, which may leave for the archive, what is left of one that did."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Self
from uuid import UUID


@dataclass(frozen=True, order=True)
class LedgerMonth:
    """A calendar month in UTC; written 2026-01."""

    year: int
    number: int

    @classmethod
    def parse(cls, written: str) -> Self:
        """The month that is written as 2026-01. Raises ValueError."""
        found = re.fullmatch(r"([1-9]\d{3})-(0[1-9]|1[0-2])", written, re.ASCII)
        if found is None:
            raise ValueError(f"{written!r} is no month: write it as 2026-01")
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of(cls, instant: datetime) -> Self:
        """The month in which an instant lies."""
        in_utc = instant.astimezone(UTC)
        return cls(in_utc.year, in_utc.month)

    @property
    def start(self) -> datetime:
        """Its first instant."""
        return datetime(self.year, self.number, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first instant after it."""
        return self.plus(1).start

    def plus(self, months: int) -> Self:
        """The month that comes so many months later; earlier, where negative."""
        years, number = divmod(self.year * 12 + self.number - 1 + months, 12)
        return type(self)(years, number + 1)

    def __str__(self) -> str:
        return f"{self.year:04}-{self.number:02}"


class LedgerEntry(NamedTuple):
    """One row of the ledger as the archive keeps it; `sku` is the name of its stock when it was archived."""

    movement_id: int
    create_time: datetime
    stock_id: UUID
    sku: str | None
    delta: int
    reason: str
    reference: str
    note: str
    reservation_id: str | None
    actor: str


@dataclass(frozen=True)
class LedgerFile:
    """A month of the ledger in a file of the archive; `sha256` is that of its bytes, in hexadecimal."""

    month: LedgerMonth
    name: str
    sha256: str
    row_count: int
    delta_sum: int


def archivable_before(now: datetime, keep: int) -> LedgerMonth:
    """The first month that stays: the current one, or the first of the `keep` whole ones before it."""
    return LedgerMonth.of(now).plus(-keep)


def missing_months(now: datetime, ahead: int, attached: Iterable[LedgerMonth]) -> list[LedgerMonth]:
    """Of the current month and the `ahead` ones after it, those that the ledger has no partition for."""
    there = set(attached)
    wanted = (LedgerMonth.of(now).plus(number) for number in range(ahead + 1))
    return [month for month in wanted if month not in there]
