"""What the reports need from outside: the view of computed figures, and the alerts of low stock."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from inventory_service.domain.low_stock import LowStock
from inventory_service.domain.stock_metrics import StatusSummary, StockMetrics


class Metrics(Protocol):
    """The computed figures: `live` ones come from the stocks, others from the view, by the same definitions."""

    async def refresh_time(self) -> datetime | None:
        """The time of the snapshot that the view shows; None where it was never filled."""
        ...

    async def scheduled(self) -> bool:
        """Whether the database itself was told to refresh the view."""
        ...

    async def begin_refresh(self) -> bool:
        """Whether this transaction is the only one that refreshes."""
        ...

    async def refresh(self) -> None:
        """Refreshes the view beside its readers, as of this transaction's time."""
        ...

    async def get(self, sku: str, *, live: bool) -> StockMetrics | None:
        """The figures of one stock."""
        ...

    async def list_metrics(self, size: int, after: str | None, *, live: bool) -> list[StockMetrics]:
        """The figures of at most `size` stocks that come after the one with this sku."""
        ...

    async def summary(self, *, live: bool) -> list[StatusSummary]:
        """The sums of each status that has stocks."""
        ...


class LowStocks(Protocol):
    """Thresholds and alerts of low stock."""

    async def lock_stock(self, sku: str) -> UUID | None:
        """The id of a stock, which is locked."""
        ...

    async def set_threshold(self, stock_id: UUID, threshold: int | None) -> None:
        """Gives a stock that is locked its own threshold, or none, and judges it."""
        ...

    async def set_default(self, threshold: int | None, now: datetime) -> None:
        """Changes the threshold of stocks without one of their own; these are still to be judged by it."""
        ...

    async def get_default(self) -> int | None:
        """The threshold of stocks without one of their own."""
        ...

    async def applying_since(self) -> datetime | None:
        """When the default was set, while stocks are still to be judged by it."""
        ...

    async def apply_default(self, size: int) -> bool:
        """Judges some of the stocks that the default is still to be applied to; whether there are more."""
        ...

    async def list_low(self, size: int, after: tuple[datetime, UUID] | None) -> list[LowStock]:
        """At most `size` low stocks, the longest first, that come after the one with this time and id."""
        ...

    async def has_news(self) -> bool:
        """Whether there are alerts to announce, or ended ones to forget; takes no lock."""
        ...

    async def take_news(self, most: int) -> Sequence[LowStock]:
        """Marks at most `most` alerts as announced, each in one transaction only, as they were when they began."""
        ...

    async def forget_ended(self, most: int) -> int:
        """Forgets at most `most` alerts that were announced and have ended; answers how many."""
        ...
