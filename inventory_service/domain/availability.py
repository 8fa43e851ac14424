"""What could be reserved, and what stands in the way. Holds past their time stand in nobody's."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from inventory_service.domain.movement import RecordedMovement
from inventory_service.domain.stock import SELLABLE, Stock


@dataclass(frozen=True)
class LineAvailability:
    """What one sku could give; nothing where it is unknown or cannot be reserved in its status."""

    sku: str
    requested: int
    available: int
    reservable: bool

    @property
    def sufficient(self) -> bool:
        """Whether a reservation of this line alone would be held."""
        return self.reservable and self.requested <= self.available


@dataclass(frozen=True)
class Hold:
    """One open reservation's units of one stock."""

    reservation_id: str
    holder: str
    quantity: int
    create_time: datetime
    expire_time: datetime | None
    age: timedelta


@dataclass(frozen=True)
class Explanation:
    """Everything that makes up a stock's available units; `reserved` leaves out holds past their time.

    `archived` is the part of `ledger` that archived months brought.
    """

    sku: str
    quantity: int
    reserved: int
    ledger: int
    archived: int
    holds: tuple[Hold, ...]
    movements: tuple[RecordedMovement, ...]

    @property
    def available(self) -> int:
        """Units that nobody holds."""
        return self.quantity - self.reserved


def line_availability(
    sku: str, requested: int, stock: Stock | None, due: Mapping[str, int]
) -> LineAvailability:
    """The line judged; `due` has the units, by sku, of holds that are past their time."""
    if stock is None or stock.status not in SELLABLE:
        return LineAvailability(sku, requested, 0, reservable=False)
    return LineAvailability(sku, requested, stock.available_quantity + due.get(sku, 0), reservable=True)
