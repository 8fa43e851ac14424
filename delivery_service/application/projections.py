"""What old readers see of an order, written in the transaction of the package that changed it."""

from collections.abc import Sequence

from delivery_service.application.ports import UnitOfWork
from delivery_service.domain.order import Order, furthest, status_with


async def project_orders(orders: Sequence[Order], uow: UnitOfWork, *, left_shelf: bool = False) -> None:
    """Writes each order's status and how far its packages are. The orders are locked, the packages saved."""
    of_orders = await uow.packages.of_orders([order.order_id for order in orders])
    for order in orders:
        states = [package.state for package in of_orders if package.order_id == order.order_id]
        await uow.orders.project(
            order.order_id, status_with(order.status, states, left_shelf), furthest(states)
        )
