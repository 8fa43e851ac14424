"""What goes into a package, and what is too much."""

import pytest

from delivery_service.domain.errors import OrderOverpacked
from delivery_service.domain.order import all_completed, furthest, status_with
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
    ("states", "completed"),
    [
        ([], False),
        ([PackageState.CANCELLED], False),
        ([PackageState.COMPLETED, PackageState.PENDING], False),
        ([PackageState.COMPLETED, PackageState.CANCELLED], True),
    ],
)
def test_cancelled_packages_do_not_count(states: list[PackageState], completed: bool) -> None:
    assert all_completed(states) is completed


def test_an_order_goes_on_with_its_packages_and_only_while_it_is_in_shipment() -> None:
    waiting, going = OrderStatus.PENDING_SHIPMENT, OrderStatus.PENDING_RECEIPT

    assert status_with(waiting, left_shelf=False, fulfilled=False) is waiting
    assert status_with(waiting, left_shelf=True, fulfilled=False) is going
    assert status_with(going, left_shelf=False, fulfilled=False) is going
    assert status_with(going, left_shelf=False, fulfilled=True) is OrderStatus.COMPLETED
    for other in set(OrderStatus) - {waiting, going}:
        assert status_with(other, left_shelf=True, fulfilled=True) is other


def test_old_readers_see_the_furthest_active_package() -> None:
    assert furthest([]) is None
    assert furthest([PackageState.CANCELLED]) is None
    assert furthest([PackageState.COMPLETED, PackageState.PREPARED]) is PackageState.PREPARED
    assert (
        furthest([PackageState.WAREHOUSE_RECEIVED, PackageState.PENDING]) is PackageState.WAREHOUSE_RECEIVED
    )
    assert furthest([PackageState.COMPLETED, PackageState.CANCELLED]) is PackageState.COMPLETED
