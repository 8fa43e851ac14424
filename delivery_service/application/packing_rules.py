"""What may be packed: on leg 0 what was ordered, on leg 1 what a warehouse has received."""

from collections.abc import Mapping, Sequence

from delivery_service.application.onward import handed_on, onward_packages
from delivery_service.application.ports import UnitOfWork
from delivery_service.domain.errors import OrderNotShippable
from delivery_service.domain.order import Order
from delivery_service.domain.packing import Packable
from delivery_service.domain.workflow import PackageState


def packables_of_orders(orders: Sequence[Order], packed: Mapping[int, int]) -> list[Packable]:
    """Every item ordered, less what other packages of leg 0 hold: `packed`, units by order item."""
    return [
        Packable(item.order_item_id, item.sku, item.quantity, packed.get(item.order_item_id, 0))
        for order in orders
        for item in order.items
    ]


async def packables_of_warehouse(
    orders: Sequence[Order], warehouse_id: int | None, uow: UnitOfWork
) -> list[Packable]:
    """Every item in the orders' packages that this warehouse has received, less what leg 1 took before.

    Raises OrderNotShippable for orders that have no such package.
    """
    of_orders = await uow.packages.of_orders([order.order_id for order in orders])
    received = [
        package
        for package in of_orders
        if package.leg == 0
        and package.state is PackageState.WAREHOUSE_RECEIVED
        and package.warehouse_id == warehouse_id
    ]
    waiting = {package.order_id for package in received}
    missing = [order.order_id for order in orders if order.order_id not in waiting]
    if missing:
        why = f"has no package that warehouse {warehouse_id} has received"
        raise OrderNotShippable(tuple(missing), (why,) * len(missing))
    there = await uow.packages.units_in({package.package_id for package in received})
    before = await uow.packages.units_in(await handed_on(of_orders, warehouse_id, uow))
    taken_on = onward_packages(of_orders, warehouse_id)
    packed = await uow.packages.units_in({package.package_id for package in taken_on})
    # Leg 1 has taken on the goods of packages that are completed, too; those are not there any more.
    return [
        Packable(
            item.order_item_id,
            item.sku,
            there[item.order_item_id],
            packed.get(item.order_item_id, 0) - before.get(item.order_item_id, 0),
        )
        for order in orders
        for item in order.items
        if item.order_item_id in there
    ]
