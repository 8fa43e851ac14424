"""What the use cases of history need from outside: the daily facts, and the notes they are counted from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from inventory_service.domain.daily_fact import DailyFact, FactDifference


@dataclass(frozen=True)
class FactFilter:
    """Which days to list, the newest first; None filters nothing. `end_day` is the first that is left out."""

    start_day: date | None = None
    end_day: date | None = None
    sku: str | None = None


@dataclass(frozen=True)
class CountedThrough:
    """How many movements were counted, and the time before which every movement that was committed has been."""

    counted: int
    through_time: datetime


class DailyFacts(Protocol):
    """The daily facts. They follow the ledger; no command waits for them."""

    async def begin_count(self) -> bool:
        """Whether this transaction is the only one that counts."""
        ...

    async def uncounted(self) -> bool:
        """Whether there are movements that were not counted yet."""
        ...

    async def count(self, most: int) -> int:
        """Counts at most `most` movements, the oldest first; answers how many there were."""
        ...

    async def through_time(self) -> datetime:
        """Every movement that was committed before this time has been counted."""
        ...

    async def list_by_stock(
        self, wanted: FactFilter, size: int, after: tuple[date, str] | None
    ) -> Sequence[DailyFact]:
        """At most `size` facts, the newest day first, that come after the one with this day and sku."""
        ...

    async def list_by_status(
        self, wanted: FactFilter, size: int, after: tuple[date, str, str] | None
    ) -> Sequence[DailyFact]:
        """At most `size` facts, the newest day first, that come after the one with this day, status and platform."""
        ...

    async def names(self, after: str, size: int) -> Sequence[str]:
        """At most `size` skus that come after this one, of stocks that are there and of those that were."""
        ...

    async def differences_by_stock(self, skus: Sequence[str]) -> Sequence[FactDifference]:
        """All differences between facts and ledger of these stocks, by sku, day and column."""
        ...

    async def next_day(self, after: date) -> date | None:
        """The first day after this one of which there are facts."""
        ...

    async def differences_by_status(self, day: date) -> Sequence[FactDifference]:
        """Where the facts of a day by status and platform come to something else than those by stock."""
        ...
