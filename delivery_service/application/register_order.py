"""An order system tells of an order."""

from dataclasses import dataclass

from delivery_service.application.ports import UnitOfWork
from delivery_service.domain.errors import OrderExists
from delivery_service.domain.order import Order, OrderItem, Receiver, may_become
from delivery_service.domain.workflow import OrderStatus


@dataclass(frozen=True)
class RegisterOrder:
    """The order as the order system has it."""

    order_id: int
    order_sn: str
    user_id: int
    shop_id: int
    status: OrderStatus
    items: tuple[OrderItem, ...]
    receiver: Receiver


async def register_order(command: RegisterOrder, uow: UnitOfWork) -> Order:
    """Registers an order once; the same order again changes nothing but a payment or a cancellation told since.

    Raises OrderExists.
    """
    order = Order(
        command.order_id,
        command.order_sn,
        command.user_id,
        command.shop_id,
        command.status,
        command.items,
        command.receiver,
        uow.now,
    )
    # Locked before it is inserted: whoever meets an equal insert shares a lock, and could not get the whole lock then.
    known = next(iter(await uow.orders.lock([command.order_id])), None)
    if known is None and not await uow.orders.add(order):
        known = await uow.orders.get(command.order_id)
        if known is None:
            raise OrderExists(command.order_id)
    if known is not None:
        if not known.same_content(order):
            raise OrderExists(command.order_id)
        if may_become(known.status, order.status):
            await uow.orders.save_status(command.order_id, order.status)
    stored = await uow.orders.get(command.order_id)
    if stored is None:
        raise LookupError(f"order {command.order_id} vanished in its own transaction")
    return stored
