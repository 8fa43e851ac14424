"""A stock as its readers see it: one sku's numbers, its status and what else is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

MOST_UNITS = 2_000_000_000
"""The most units that one stock can have; a little below what its column can store."""


class StockStatus(StrEnum):
    """Where a stock stands in its life; the value is how it is stored."""

    IN_STOCK = "in_stock"
    PRESALE = "presale"
    PREORDER = "preorder"
    SOLD = "sold"
    CANCELED = "canceled"
    ERROR = "error"


MOST_ACTIVE_LISTINGS = 100
"""The most offers of one stock that can be open at once, so that a stock always fits into an answer."""

SELLABLE = frozenset({StockStatus.IN_STOCK, StockStatus.PRESALE, StockStatus.PREORDER})
"""The statuses in which a stock can be created and reserved."""


class Platform(StrEnum):
    """A market place; the value is how it is stored."""

    STOCKX = "stockx"
    EBAY = "ebay"
    GOAT = "goat"
    ALIAS = "alias"
    LOCAL = "local"


@dataclass(frozen=True)
class StatusChange:
    """One entry of a stock's history; `from_status` is None for the first."""

    from_status: StockStatus | None
    to_status: StockStatus | None
    change_time: datetime | None
    reason: str | None = None


@dataclass(frozen=True)
class Listing:
    """One offer of a stock on a platform; `platform` is None where an older writer named one we do not know."""

    platform: Platform | None
    listing_id: str
    active: bool
    list_time: datetime | None
    ask_price: str | None = None
    currency: str | None = None
    end_time: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StockDetails:
    """What is known of a stock beside its numbers and its status; money in the currency of the books."""

    product_id: UUID | None = None
    size_id: UUID | None = None
    supplier_id: UUID | None = None
    ean: str | None = None
    purchase_price: Decimal | None = None
    gross_purchase_price: Decimal | None = None
    vat_amount: Decimal | None = None
    vat_rate: Decimal | None = None
    purchase_date: datetime | None = None
    delivery_date: datetime | None = None
    detailed_status: str | None = None
    notes: str | None = None
    location: str | None = None
    external_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stock:
    """Everything about one sku; a stored hold that is past its time still counts as reserved."""

    stock_id: UUID
    sku: str
    status: StockStatus
    quantity: int
    reserved_quantity: int
    details: StockDetails
    listings: tuple[Listing, ...]
    status_history: tuple[StatusChange, ...]
    version: int
    create_time: datetime
    update_time: datetime

    def listing(self, platform: Platform, listing_id: str) -> Listing | None:
        """The offer of that platform and id, an open one before one that ended."""
        found = [row for row in self.listings if (row.platform, row.listing_id) == (platform, listing_id)]
        return next((row for row in found if row.active), found[0] if found else None)

    @property
    def active_listings(self) -> int:
        """How many offers are open."""
        return sum(listing.active for listing in self.listings)

    @property
    def available_quantity(self) -> int:
        """Units that nobody holds."""
        return self.quantity - self.reserved_quantity
