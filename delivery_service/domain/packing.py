"""Which order items go into a package, and how many at most."""

from collections.abc import Sequence
from dataclasses import dataclass

from delivery_service.domain.errors import OrderOverpacked, PackageTooLarge
from delivery_service.domain.package import PackageItem

MOST_SKUS = 200
"""As many as inventory takes in one reservation."""


@dataclass(frozen=True)
class Packable:
    """An order item: how many units there are, and how many are in packages already."""

    order_item_id: int
    sku: str
    quantity: int
    packed: int

    @property
    def room(self) -> int:
        """Units that may still be packed."""
        return max(self.quantity - self.packed, 0)


def pack(wanted: Sequence[PackageItem], packables: Sequence[Packable]) -> tuple[PackageItem, ...]:
    """The package's items, each with the order item it belongs to; everything where nothing is wanted by name.

    Units wanted by sku alone are spread over the order items with that sku. Raises OrderOverpacked with every
    item of which more is wanted than there is, and PackageTooLarge.
    """
    if not wanted:
        wanted = [PackageItem(item.order_item_id, item.sku, item.quantity) for item in packables]
    room = {item.order_item_id: item.room for item in packables}
    units: dict[int, int] = {}
    excess: dict[str, str] = {}
    # Items named by id first: they have no choice.
    for item in sorted(wanted, key=lambda item: item.order_item_id is None):
        fitting = [packable for packable in packables if _fits(item, packable)]
        left = item.quantity
        for packable in fitting:
            taken = min(left, room[packable.order_item_id])
            if taken:
                room[packable.order_item_id] -= taken
                units[packable.order_item_id] = units.get(packable.order_item_id, 0) + taken
                left -= taken
        if left:
            excess[_subject(item)] = (
                f"{item.sku}: {item.quantity} wanted, {item.quantity - left} may be packed"
            )
    if excess:
        raise OrderOverpacked(tuple(excess), tuple(excess.values()))
    packed = tuple(
        PackageItem(packable.order_item_id, packable.sku, units[packable.order_item_id])
        for packable in packables
        if packable.order_item_id in units
    )
    check_size(packed)
    return packed


def check_size(items: Sequence[PackageItem]) -> None:
    """Raises PackageTooLarge where the items are more than one reservation can name."""
    skus = len({item.sku for item in items})
    if skus > MOST_SKUS:
        raise PackageTooLarge(skus, MOST_SKUS)


def _fits(item: PackageItem, packable: Packable) -> bool:
    return item.sku == packable.sku and item.order_item_id in (None, packable.order_item_id)


def _subject(item: PackageItem) -> str:
    return item.sku if item.order_item_id is None else f"order_item_id {item.order_item_id}"
