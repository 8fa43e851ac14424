"""History by day: what the movements of a day come to, by stock or by status and platform."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from inventory_service.domain.movement import MovementReason
from inventory_service.domain.stock import Platform, StockStatus


class FactColumn(StrEnum):
    """What movements are summed up as; the value is how it is stored."""

    RECEIVED = "received_quantity"
    SOLD = "sold_quantity"
    RETURNED = "returned_quantity"
    ADJUSTED = "adjusted_quantity"


FACT_COLUMNS: Mapping[MovementReason, FactColumn] = {
    MovementReason.RECEIVED: FactColumn.RECEIVED,
    MovementReason.SOLD: FactColumn.SOLD,
    MovementReason.RETURNED: FactColumn.RETURNED,
    MovementReason.DAMAGED: FactColumn.ADJUSTED,
    MovementReason.LOST: FactColumn.ADJUSTED,
    MovementReason.FOUND: FactColumn.ADJUSTED,
    MovementReason.COUNT_CORRECTION: FactColumn.ADJUSTED,
    MovementReason.TRANSFER: FactColumn.ADJUSTED,
    MovementReason.IMPORT: FactColumn.ADJUSTED,
    MovementReason.OTHER: FactColumn.ADJUSTED,
    MovementReason.OPENING: FactColumn.ADJUSTED,
}
"""As what the movements of each reason count. Units sold are counted upwards, all others as they changed the shelf."""


@dataclass(frozen=True)
class DailyFact:
    """Units of one day (UTC): of a sku, or of a status and platform as the stocks had them at each movement.

    `status` is None where it is not known any more, `platform` where the stock was listed nowhere.
    """

    day: date
    received_quantity: int
    sold_quantity: int
    returned_quantity: int
    adjusted_quantity: int
    sku: str | None = None
    status: StockStatus | None = None
    platform: Platform | None = None


@dataclass(frozen=True)
class FactDifference:
    """Units of a day that are recorded otherwise than they count; `sku` is empty for the sum of all stocks."""

    day: date
    sku: str
    column: FactColumn
    recorded: int
    counted: int
