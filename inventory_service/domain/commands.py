"""What can be asked of the books: the four verbs of a reservation, its expiry, and changes of one stock."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from inventory_service.domain.movement import MovementReason
from inventory_service.domain.stock import Platform, StockStatus


@dataclass(frozen=True)
class Actor:
    """Who asks. An operator may resolve what others reserved, and take ids that are others' to take."""

    name: str
    operator: bool = False
    others_ids: tuple[re.Pattern[str], ...] = ()

    def may_take(self, reservation_id: str) -> bool:
        """Whether this id is the actor's to give to a reservation."""
        return self.operator or not any(ids.fullmatch(reservation_id) for ids in self.others_ids)


@dataclass(frozen=True)
class ReserveStock:
    """Hold these units, by sku, all or none."""

    reservation_id: str
    holder: str
    quantities: Mapping[str, int]
    ttl: timedelta | None
    actor: Actor


@dataclass(frozen=True)
class CommitReservation:
    """Take these held units, by sku, off the shelf and give the rest back; None takes all of them."""

    reservation_id: str
    quantities: Mapping[str, int] | None
    actor: Actor
    expected_version: int | None = None


@dataclass(frozen=True)
class ReleaseReservation:
    """Give the held units back; an id that is not known can hold nothing from now on."""

    reservation_id: str
    actor: Actor
    expected_version: int | None = None


@dataclass(frozen=True)
class ExtendReservation:
    """Hold until `ttl` from now."""

    reservation_id: str
    ttl: timedelta
    actor: Actor
    expected_version: int | None = None


@dataclass(frozen=True)
class ExpireReservation:
    """Give the held units back if the time has come; else do nothing."""

    reservation_id: str


ReservationCommand = (
    ReserveStock | CommitReservation | ReleaseReservation | ExtendReservation | ExpireReservation
)


@dataclass(frozen=True)
class AdjustStock:
    """Add units to a stock (`delta` > 0) or take available ones away (`delta` < 0)."""

    sku: str
    delta: int
    reason: MovementReason
    reference: str
    note: str
    actor: Actor
    expected_version: int | None = None


@dataclass(frozen=True)
class SetStockQuantity:
    """Set a stock to what was counted, if the books have what the caller expects."""

    sku: str
    quantity: int
    expected_quantity: int
    reference: str
    note: str
    actor: Actor


@dataclass(frozen=True)
class DeleteStock:
    """Remove a stock of which nothing is there and nothing is held."""

    sku: str
    expected_version: int | None = None


@dataclass(frozen=True)
class UpdateStock:
    """Change what is known of a stock: columns of its details, by name."""

    sku: str
    changes: Mapping[str, object]
    expected_version: int | None = None


@dataclass(frozen=True)
class ChangeStockStatus:
    """Move a stock to another status."""

    sku: str
    status: StockStatus
    reason: str
    expected_version: int | None = None


@dataclass(frozen=True)
class AddListing:
    """Note an offer of a stock on a platform, open from now on."""

    sku: str
    platform: Platform
    listing_id: str
    ask_price: str | None
    currency: str | None
    metadata: Mapping[str, str]
    expected_version: int | None = None


@dataclass(frozen=True)
class UpdateListing:
    """Change values of an open offer, by name."""

    sku: str
    platform: Platform
    listing_id: str
    changes: Mapping[str, object]
    expected_version: int | None = None


@dataclass(frozen=True)
class EndListing:
    """Note that an offer was taken down."""

    sku: str
    platform: Platform
    listing_id: str
    expected_version: int | None = None


StockCommand = (
    AdjustStock
    | SetStockQuantity
    | DeleteStock
    | UpdateStock
    | ChangeStockStatus
    | AddListing
    | UpdateListing
    | EndListing
)
"""A command upon one stock, named by its `sku`."""
