"""What making packages needs: what is there already, and where the new one goes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from delivery_service.domain.order import OrderPackage
from delivery_service.domain.package import Package


@dataclass(frozen=True)
class BeforePacking:
    """What there is about orders that are locked: is the package made already, is the warehouse known, what has
    been packed of them, and has the old application written what nobody has followed?
    """

    package_known: bool
    warehouse_known: bool
    packages: Sequence[OrderPackage]
    packed_units: Mapping[int, int]
    """By order item, in packages of leg 0 that are not cancelled."""
    unfollowed: bool


class Packing(Protocol):
    """New packages."""

    async def look(
        self,
        package_sn: str | None,
        order_ids: Collection[int],
        order_item_ids: Collection[int],
        warehouse_id: int | None,
    ) -> BeforePacking:
        """All of it at once. The orders are locked."""

    async def add(self, package: Package) -> Package | None:
        """Stores a new package; None where its package_sn is taken. Raises OrderAlreadyPacked."""
