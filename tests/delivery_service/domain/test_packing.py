"""What goes into a package, and what is too much."""

import pytest

from delivery_service.domain.errors import OrderOverpacked
from delivery_service.domain.order import furthest, status_with
from delivery_service.domain.package import PackageItem
from delivery_service.domain.packing import Packable, pack
from delivery_service.domain.workflow import OrderStatus, PackageState

SHELF = [Packable(1, "A", 5, 0), Packable(2, "A", 5, 3), Packable(3, "B", 1, 0)]


def test_everything_goes_in_where_nothing_is_named() -> None:
    assert pack([], [Packable(1, "A", 5, 0), Packable(3, "B", 1, 0)]) == (
        PackageItem(1, "A", 5),
        PackageItem(3, "B", 1),
    )


def test_units_named_by_sku_are_spread_over_the_items_that_have_room() -> None:
    assert pack([PackageItem(None, "A", 6)], SHELF) == (PackageItem(1, "A", 5), PackageItem(2, "A", 1))


def test_items_named_by_id_come_first_whatever_the_order() -> None:
    wanted = [PackageItem(None, "A", 2), PackageItem(1, "A", 5)]

    assert pack(wanted, SHELF) == (PackageItem(1, "A", 5), PackageItem(2, "A", 2))


def test_every_item_that_is_too_much_is_named() -> None:
    wanted = [
        PackageItem(1, "A", 6),
        PackageItem(None, "B", 2),
        PackageItem(None, "C", 1),
        PackageItem(3, "A", 1),
    ]

    with pytest.raises(OrderOverpacked) as refusal:
        pack(wanted, SHELF)

    assert refusal.value.subjects == ("order_item_id 1", "order_item_id 3", "B", "C")


def test_default_items_do_not_pack_twice_what_is_packed_already() -> None:
    with pytest.raises(OrderOverpacked):
        pack([], [Packable(1, "A", 5, 5)])


@pytest.mark.parametrize(
    ("states", "left_shelf", "status"),
    [
        ([PackageState.PENDING], False, OrderStatus.PENDING_SHIPMENT),
        ([PackageState.PICKED_UP], True, OrderStatus.PENDING_RECEIPT),
        ([PackageState.COMPLETED, PackageState.PENDING], False, OrderStatus.PENDING_SHIPMENT),
        ([PackageState.COMPLETED, PackageState.CANCELLED], False, OrderStatus.COMPLETED),
        ([PackageState.CANCELLED], False, OrderStatus.PENDING_SHIPMENT),
    ],
)
def test_an_order_is_as_its_packages_say(
    states: list[PackageState], left_shelf: bool, status: OrderStatus
) -> None:
    assert status_with(OrderStatus.PENDING_SHIPMENT, states, left_shelf) is status


def test_packages_do_not_touch_an_order_outside_of_shipment() -> None:
    assert status_with(OrderStatus.AFTER_SALES, [PackageState.COMPLETED], True) is OrderStatus.AFTER_SALES


def test_old_readers_see_the_furthest_active_package() -> None:
    assert furthest([]) is None
    assert furthest([PackageState.CANCELLED]) is None
    assert furthest([PackageState.COMPLETED, PackageState.PREPARED]) is PackageState.PREPARED
    assert (
        furthest([PackageState.WAREHOUSE_RECEIVED, PackageState.PENDING]) is PackageState.WAREHOUSE_RECEIVED
    )
    assert furthest([PackageState.COMPLETED, PackageState.CANCELLED]) is PackageState.COMPLETED
