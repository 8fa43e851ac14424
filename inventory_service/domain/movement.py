"""The ledger: why a quantity changed. A stock's quantity is the sum of its movements."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class MovementReason(StrEnum):
    """Why units came or went. OPENING and SOLD are written by the service only."""

    RECEIVED = "RECEIVED"
    RETURNED = "RETURNED"
    DAMAGED = "DAMAGED"
    LOST = "LOST"
    FOUND = "FOUND"
    COUNT_CORRECTION = "COUNT_CORRECTION"
    TRANSFER = "TRANSFER"
    IMPORT = "IMPORT"
    OTHER = "OTHER"
    OPENING = "OPENING"
    SOLD = "SOLD"


@dataclass(frozen=True)
class Movement:
    """One change of a quantity, before it is stored."""

    stock_id: UUID
    sku: str
    delta: int
    reason: MovementReason
    actor: str
    reference: str = ""
    note: str = ""
    reservation_id: str | None = None


@dataclass(frozen=True)
class RecordedMovement:
    """One change of a quantity, as the ledger keeps it."""

    movement_id: int
    sku: str
    delta: int
    reason: MovementReason
    actor: str
    reference: str
    note: str
    reservation_id: str | None
    create_time: datetime
