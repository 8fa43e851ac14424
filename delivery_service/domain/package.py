"""A package: goods of one or more orders that travel together. Every change makes a new value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from delivery_service.domain.errors import EtagMismatch
from delivery_service.domain.reservation import TAKEN, Shortage, reservation_id
from delivery_service.domain.workflow import PackageState, StockState, Verb, Workflow


@dataclass(frozen=True)
class PackageItem:
    """Some units of one stock; `order_item_id` is None only in packages of the old system."""

    order_item_id: int | None
    sku: str
    quantity: int


@dataclass(frozen=True)
class Package:
    """Goods of one or more orders that travel together.

    `package_id` is the row's number, 0 before it is stored. `step_times` tells for each verb when it was last
    applied. `attempt` counts the holds that were asked for; the present one is `reservation_id`.
    """

    package_id: int
    package_sn: str
    workflow: Workflow
    leg: int
    shop_id: int
    warehouse_id: int | None
    driver_id: int | None
    order_ids: tuple[int, ...]
    items: tuple[PackageItem, ...]
    state: PackageState
    stock_state: StockState
    create_time: datetime
    update_time: datetime
    attempt: int = 0
    reservation_id: str | None = None
    rejection_reason: str | None = None
    shortages: tuple[Shortage, ...] = ()
    version: int = 1
    step_times: Mapping[Verb, datetime] = field(default_factory=dict)
    content_digest: str | None = None

    def lines(self) -> dict[str, int]:
        """Units by sku: what a hold for this package is about. The old system has items of no units."""
        units: dict[str, int] = {}
        for item in self.items:
            if item.quantity:
                units[item.sku] = units.get(item.sku, 0) + item.quantity
        return dict(sorted(units.items()))

    @property
    def has_right_hold_id(self) -> bool:
        """Whether its hold has the id that its number and attempt make; without an attempt there is none."""
        if not self.attempt:
            return self.reservation_id is None and self.stock_state is StockState.NOT_TRACKED
        return self.reservation_id == reservation_id(self.package_sn, self.attempt)

    @property
    def must_have_driver(self) -> bool:
        """Whether it cannot have come where it is without a driver."""
        return self.workflow.by_driver and self.state.off_shelf

    @property
    def holds_nothing(self) -> bool:
        """Whether there is nothing of ours under the present id, so that a release would hit somebody else's."""
        return self.stock_state is StockState.REJECTED and self.rejection_reason == TAKEN

    def check_version(self, expected: int | None) -> None:
        """Raises EtagMismatch if the caller read another version."""
        if expected is not None and expected != self.version:
            raise EtagMismatch(self.package_sn)
