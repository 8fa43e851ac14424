"""What old readers see of an order, written in the transaction of the package that changed it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from delivery_service.application.ports import UnitOfWork
from delivery_service.domain.order import Order, OrderPackage, all_completed, furthest, status_with
from delivery_service.domain.workflow import OrderStatus, PackageState


@dataclass(frozen=True)
class Projection:
    """An order's status, and how far its packages are."""

    status: OrderStatus
    furthest: PackageState | None


async def project_orders(orders: Sequence[Order], uow: UnitOfWork) -> None:
    """Writes each order's status and how far its packages are. The orders are locked, the packages saved."""
    for order_id, right in (await projections_of(orders, uow)).items():
        await uow.orders.project(order_id, right.status, right.furthest)


async def project_new_package(
    orders: Sequence[Order], others: Collection[OrderPackage], uow: UnitOfWork
) -> None:
    """The same after a package of all these orders was made beside `others`; it is PENDING, so no order is done."""
    for order in orders:
        states = [other.state for other in others if other.order_id == order.order_id]
        status = status_with(order.status, left_shelf=_left_shelf(states), fulfilled=False)
        await uow.orders.project(order.order_id, status, furthest([*states, PackageState.PENDING]))


async def projections_of(orders: Sequence[Order], uow: UnitOfWork) -> Mapping[int, Projection]:
    """What old readers should see of these orders, by all that became of their packages."""
    states = await _states(orders, uow)
    whole = await _packed_whole(orders, states, uow)
    return {
        order.order_id: Projection(
            status_with(
                order.status,
                left_shelf=_left_shelf(states[order.order_id]),
                fulfilled=order.order_id in whole,
            ),
            furthest(states[order.order_id]),
        )
        for order in orders
    }


def _left_shelf(states: Collection[PackageState]) -> bool:
    return any(state.off_shelf for state in states)


async def _states(orders: Sequence[Order], uow: UnitOfWork) -> dict[int, list[PackageState]]:
    states: dict[int, list[PackageState]] = {order.order_id: [] for order in orders}
    for package in await uow.packages.of_orders(states):
        states[package.order_id].append(package.state)
    return states


async def _packed_whole(
    orders: Sequence[Order], states: Mapping[int, Collection[PackageState]], uow: UnitOfWork
) -> set[int]:
    """The orders whose packages are all completed and of which nothing is left for another package."""
    completed = [order for order in orders if all_completed(states[order.order_id])]
    items = [item.order_item_id for order in completed for item in order.items]
    packed = await uow.packages.packed_units(items, leg=0) if items else {}
    return {
        order.order_id
        for order in completed
        if all(packed.get(item.order_item_id, 0) >= item.quantity for item in order.items)
    }
