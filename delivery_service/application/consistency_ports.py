"""What comparing records, and repairing what disagrees, needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from delivery_service.domain.package import Package


class Drift(StrEnum):
    """How two records can disagree; each has a repair of its own."""

    CODES = "CODES"
    TIMELINE = "TIMELINE"
    CHAIN = "CHAIN"
    STATE = "STATE"
    DRIVER = "DRIVER"
    STEPS = "STEPS"
    ORDERS = "ORDERS"
    LEGS = "LEGS"
    GONE = "GONE"
    PROJECTION = "PROJECTION"
    COMMAND = "COMMAND"
    OVERPACKED = "OVERPACKED"
    HOLD_ID = "HOLD_ID"
    HOLD = "HOLD"
    ORPHAN_HOLD = "ORPHAN_HOLD"
    PROOF = "PROOF"
    MARK = "MARK"
    PHOTO = "PHOTO"
    RECORD = "RECORD"
    STRAY_BYTES = "STRAY_BYTES"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Inconsistency:
    """Two records that must agree and do not."""

    drift: Drift
    subject: str
    description: str
    facts: Mapping[str, str]


Looked = tuple[int | None, list[Inconsistency]]
"""The id to go on after, None at the end, and what was found."""


class Consistency(Protocol):
    """Looks for records that must agree and do not, a page at a time."""

    async def event_differences(self, after: int, size: int) -> Looked:
        """Packages that are not what their events made of them, or that cannot be read."""

    async def mapping_differences(self, after: int, size: int) -> Looked:
        """Packages whose orders, or legs, are not those of the mapping."""

    async def vanished_packages(self, after: int, size: int) -> Looked:
        """Packages that the mapping has and that are gone."""

    async def unreadable_orders(self, after: int, size: int) -> Looked:
        """Orders that cannot be read."""

    async def followed_orders(self, after: int, size: int) -> tuple[int | None, list[int]]:
        """The id to go on after, None at the end, and the orders of whose packages this service moved one."""

    async def proof_differences(self, after: int, size: int) -> Looked:
        """Photos that an event names and that are not marked as used by it, and the reverse."""

    async def stuck_commands(self, after: int, size: int, overdue: timedelta) -> Looked:
        """Parked commands, and unfinished ones that are older than `overdue`."""

    async def tracked_packages(self, after: int, size: int) -> list[Package]:
        """Packages that have, or had, a hold, or an id of one, by package_id."""


@dataclass(frozen=True)
class RepairRecord:
    """A repair that was made, of what, and for whom."""

    caller: str
    request_id: str
    check: str
    found: Inconsistency
    repair: str
    trace: str


class Repairs(Protocol):
    """The record of repairs, and the writes that only a repair needs."""

    async def add(self, record: RepairRecord) -> None: ...

    async def list_repairs(
        self, caller: str, request_id: str, after: int, size: int
    ) -> list[tuple[int, RepairRecord]]:
        """What was repaired for one request, oldest first, by number."""

    async def listed_orders(self, package_sn: str) -> tuple[str, tuple[int, ...]]:
        """The projection `order_ids` as it is, and the order ids that can be read in it."""

    async def list_orders_as(self, package: Package) -> None:
        """Writes the projection `order_ids` from the mapping."""

    async def map_order(self, package_id: int, order_id: int) -> None:
        """Adds an order to a package, without its leg."""

    async def legs(self, package_id: int) -> Mapping[int, int | None]:
        """The leg that the package takes of each of its orders."""

    async def free_legs(self, package_id: int) -> None: ...

    async def take_leg(self, package_id: int, order_id: int, leg: int) -> bool:
        """False where another package has it."""

    async def forget_mapping(self, package_id: int) -> list[int]:
        """Removes the orders of a package that is gone; answers them, none where it is there."""

    async def write_steps(self, package_id: int) -> list[str]:
        """Writes the times of the steps of which events tell; answers the columns that said something else."""

    async def marked(self, package_id: int) -> Mapping[int, list[str]]:
        """The photos that are marked as proof, by the number of the event."""

    async def mark_used(self, evidence_id: str, sequence: int) -> bool:
        """Marks a photo as proof of an event, whatever it was marked for; False where its bytes prove another."""
