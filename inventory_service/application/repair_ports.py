"""What repairs need: the record of those that were made, and the writes that only a repair needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True)
class Inconsistency:
    """What a check found: two records that must agree and do not."""

    check: str
    subject: str
    description: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RepairRecord:
    """A repair that was made, of what, and for whom; `trace` finds the call in the logs."""

    caller: str
    request_id: str
    found: Inconsistency
    repair: str
    trace: str


@dataclass(frozen=True)
class LockedLevel:
    """What a stock has, its row locked: no hold upon it begins or ends meanwhile."""

    stock_id: UUID
    quantity: int
    reserved_quantity: int


class Repairs(Protocol):
    """Repairs and their record."""

    async def add(self, record: RepairRecord) -> None: ...

    async def list_repairs(
        self, caller: str, request_id: str, after: int, size: int
    ) -> list[tuple[int, RepairRecord]]:
        """What was repaired for one request, oldest first, by number."""
        ...

    async def lock_level(self, sku: str) -> LockedLevel | None: ...

    async def mark_lines(self, stock_id: UUID) -> list[str]:
        """Marks the lines of open holds as open, and no other; answers the reservations whose lines were not so."""
        ...

    async def open_units(self, stock_id: UUID) -> int:
        """The sum of the lines that are marked open."""
        ...

    async def save_reserved(self, stock_id: UUID, reserved_quantity: int) -> None: ...

    async def judge_low_stock(self, stock_id: UUID) -> bool:
        """Opens or ends the stock's alert; whether that changed anything."""
        ...
