"""What the use cases need of stocks: their details, their listings, their pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from inventory_service.domain.stock import Listing, Platform, StatusChange, Stock, StockDetails, StockStatus


@dataclass(frozen=True)
class StockFilter:
    """Which stocks to list; None filters nothing. `by_sku` orders by sku, else the newest come first."""

    sku_prefix: str | None = None
    product_id: UUID | None = None
    status: StockStatus | None = None
    platform: Platform | None = None
    available_at_most: int | None = None
    updated_since: datetime | None = None
    by_sku: bool = False


StockKey = str | tuple[datetime, UUID]
"""Where a page of stocks begins: behind a sku where they are ordered by it, else behind (create_time, id)."""


class Stocks(Protocol):
    """The stocks."""

    async def add(self, sku: str, quantity: int, status: StockStatus, details: StockDetails) -> UUID | None:
        """Adds a stock and answers its id; None if another one bears the sku."""
        ...

    async def add_missing(self, wanted: Mapping[str, tuple[int, StockDetails]]) -> Mapping[str, UUID]:
        """Adds a stock, IN_STOCK, with its quantity and details for each sku that none bears; answers the ids of
        these, by sku."""
        ...

    async def update(self, stock_id: UUID, changes: Mapping[str, object], now: datetime) -> None:
        """Writes values of details, by name, into a stock that is locked."""
        ...

    async def update_many(self, changes: Mapping[UUID, Mapping[str, object]], now: datetime) -> None:
        """Writes values of details, by id and name, into stocks that are locked."""
        ...

    async def enter_status(self, stock_id: UUID, change: StatusChange, now: datetime) -> None:
        """Moves a stock that is locked to another status and appends the change to its history."""
        ...

    async def add_listing(self, stock_id: UUID, listing: Listing, now: datetime) -> None:
        """Appends an offer to a stock that is locked."""
        ...

    async def change_listing(
        self, stock_id: UUID, listing: Listing, changes: Mapping[str, object], now: datetime
    ) -> None:
        """Writes values, by name, into an open offer of a stock that is locked."""
        ...

    async def end_listing(self, stock_id: UUID, listing: Listing, now: datetime) -> None:
        """Ends an open offer of a stock that is locked."""
        ...

    async def remove(self, stock_id: UUID, now: datetime) -> None:
        """Removes a stock that is locked; its sku stays known to the history."""
        ...

    async def get(self, sku: str) -> Stock | None:
        """The stock as it is now."""
        ...

    async def get_many(self, skus: Sequence[str]) -> Mapping[str, Stock]:
        """The stocks that there are of these, by sku."""
        ...

    async def list_stocks(self, wanted: StockFilter, size: int, after: StockKey | None) -> list[Stock]:
        """At most `size` stocks that come after the one with the key `after`."""
        ...
