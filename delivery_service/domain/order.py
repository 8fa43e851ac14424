"""Orders, as an order system registers them, and what their packages make of them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from delivery_service.domain.workflow import OrderStatus, PackageState, Workflow


@dataclass(frozen=True)
class OrderItem:
    """One thing that was ordered; `order_item_id` is 0 until it is stored, where the caller chose none."""

    order_item_id: int
    sku: str
    quantity: int
    product_name: str


@dataclass(frozen=True)
class Receiver:
    """Who receives, and where."""

    name: str = ""
    phone: str = ""
    province: str = ""
    city: str = ""
    district: str = ""
    address: str = ""
    postal_code: str = ""


@dataclass(frozen=True)
class Order:
    """An order of the order system."""

    order_id: int
    order_sn: str
    user_id: int
    shop_id: int
    status: OrderStatus
    items: tuple[OrderItem, ...]
    receiver: Receiver
    create_time: datetime

    def same_content(self, other: "Order") -> bool:
        """Whether both say the same; the status is not content, it goes on."""
        return (
            self.order_sn == other.order_sn
            and self.user_id == other.user_id
            and self.shop_id == other.shop_id
            and self.receiver == other.receiver
            and _units(self.items, other.items) == _units(other.items, self.items)
        )


@dataclass(frozen=True)
class OrderPackage:
    """One package as one of its orders sees it."""

    order_id: int
    package_id: int
    package_sn: str
    workflow: Workflow
    leg: int
    state: PackageState
    warehouse_id: int | None


def all_completed(packages: Collection[PackageState]) -> bool:
    """Whether the order's packages are all done; cancelled ones do not count, and there must be one."""
    living = [state for state in packages if state is not PackageState.CANCELLED]
    return bool(living) and all(state is PackageState.COMPLETED for state in living)


def status_with(status: OrderStatus, *, left_shelf: bool, fulfilled: bool) -> OrderStatus:
    """The order's status after a step of one of its packages; one outside of shipment is not touched.

    `left_shelf`: goods of it have left the shelf, with whomever. `fulfilled`: all its packages are completed, and
    nothing of it is left to pack.
    """
    if not status.shippable:
        return status
    if fulfilled:
        return OrderStatus.COMPLETED
    return OrderStatus.PENDING_RECEIPT if left_shelf else status


def may_become(status: OrderStatus, told: OrderStatus) -> bool:
    """Whether what the order system tells of a known order moves it: it was paid, or cancelled before goods left."""
    if told is OrderStatus.CANCELLED:
        return status in (OrderStatus.PENDING_PAYMENT, OrderStatus.PENDING_SHIPMENT)
    return (status, told) == (OrderStatus.PENDING_PAYMENT, OrderStatus.PENDING_SHIPMENT)


def furthest(packages: Collection[PackageState]) -> PackageState | None:
    """How far the order has come: its furthest active package, else COMPLETED if one is, else None."""
    order = list(PackageState)
    active = [state for state in packages if state.active]
    if active:
        return max(active, key=order.index)
    return PackageState.COMPLETED if PackageState.COMPLETED in packages else None


def _units(items: tuple[OrderItem, ...], others: tuple[OrderItem, ...]) -> list[tuple[int, str, int, str]]:
    # Ids that only one side chose are not compared.
    chosen = all(item.order_item_id for item in (*items, *others))
    return sorted(
        (item.order_item_id if chosen else 0, item.sku, item.quantity, item.product_name) for item in items
    )
