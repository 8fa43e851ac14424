"""What old readers see of an order, written in the transaction of the package that changed it."""

from collections.abc import Sequence

from delivery_service.application.ports import UnitOfWork
from delivery_service.domain.order import Order, all_completed, furthest, status_with


async def project_orders(orders: Sequence[Order], uow: UnitOfWork, *, left_shelf: bool = False) -> None:
    """Writes each order's status and how far its packages are. The orders are locked, the packages saved."""
    of_orders = await uow.packages.of_orders([order.order_id for order in orders])
    for order in orders:
        states = [package.state for package in of_orders if package.order_id == order.order_id]
        fulfilled = all_completed(states) and await _packed_whole(order, uow)
        status = status_with(order.status, left_shelf=left_shelf, fulfilled=fulfilled)
        await uow.orders.project(order.order_id, status, furthest(states))


async def _packed_whole(order: Order, uow: UnitOfWork) -> bool:
    """Whether nothing of the order is left for another package."""
    packed = await uow.packages.packed_units([item.order_item_id for item in order.items], leg=0)
    return all(packed.get(item.order_item_id, 0) >= item.quantity for item in order.items)
