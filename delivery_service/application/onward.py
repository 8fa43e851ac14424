"""What a package's orders say about its way on: were they cancelled, what has leg 1 taken on from the warehouse?"""

from collections.abc import Collection, Sequence

from delivery_service.application.ports import UnitOfWork
from delivery_service.domain.order import OrderPackage
from delivery_service.domain.package import Package
from delivery_service.domain.transitions import Onward
from delivery_service.domain.workflow import PackageState

_ARRIVED = (PackageState.DELIVERED, PackageState.COMPLETED)


async def onward_of(package: Package, uow: UnitOfWork) -> Onward:
    """Cancelled orders matter to a package that has not left; leg 1 to one of leg 0 that waits in a warehouse."""
    if package.state in (PackageState.PENDING, PackageState.PREPARED):
        return Onward(called_off=await uow.orders.called_off(package.order_ids))
    if package.leg != 0 or package.state is not PackageState.WAREHOUSE_RECEIVED:
        return Onward()
    of_orders = await uow.packages.of_orders(package.order_ids)
    taken_on = onward_packages(of_orders, package.warehouse_id)
    everything = {other.order_id for other in taken_on} == set(package.order_ids) and all(
        other.state in _ARRIVED for other in taken_on
    )
    return Onward(
        active=any(other.state.active for other in taken_on),
        arrived=everything and await _covered(package, of_orders, taken_on, uow),
    )


def onward_packages(of_orders: Collection[OrderPackage], warehouse_id: int | None) -> list[OrderPackage]:
    """The leg-1 packages from this warehouse that were not cancelled; the old system named no warehouse for them."""
    return [
        package
        for package in of_orders
        if package.leg == 1
        and package.state is not PackageState.CANCELLED
        and package.warehouse_id in (None, warehouse_id)
    ]


async def handed_on(
    of_orders: Collection[OrderPackage], warehouse_id: int | None, uow: UnitOfWork
) -> set[int]:
    """The leg-0 packages that were completed in this warehouse because leg 1 took their goods on; by package_id."""
    completed = {
        package.package_id
        for package in of_orders
        if package.leg == 0
        and package.state is PackageState.COMPLETED
        and package.warehouse_id == warehouse_id
    }
    return await uow.events.completed_from(PackageState.WAREHOUSE_RECEIVED, completed)


async def _covered(
    package: Package, of_orders: Collection[OrderPackage], taken_on: Sequence[OrderPackage], uow: UnitOfWork
) -> bool:
    """Whether what leg 1 has delivered is enough for this package beside those that were completed before it."""
    before = await uow.packages.units_in(await handed_on(of_orders, package.warehouse_id, uow))
    own = await uow.packages.units_in({package.package_id})
    delivered = await uow.packages.units_in({other.package_id for other in taken_on})
    return all(delivered.get(item, 0) >= before.get(item, 0) + units for item, units in own.items())
