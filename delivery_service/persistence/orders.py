"""Orders in `tigu_order` and `tigu_order_item`, and what old readers see of them."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Select, String, cast, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.application.ports import OrderFilter
from delivery_service.domain.order import Order, OrderItem, Receiver
from delivery_service.domain.package_event import PackageEvent
from delivery_service.domain.workflow import OrderStatus, PackageState
from delivery_service.persistence.codes import (
    ACTION_TYPES,
    ORDER_STATUS_CODES,
    ORDER_STATUSES,
    STATE_CODES,
    STATES,
)
from delivery_service.persistence.tables import RECEIVER_COLUMNS, order_actions, order_items, orders
from servicekit.conflicts import duplicate_key

MOST_VOUCHER_LENGTH = 2000


class SqlOrders:
    """Orders over one connection."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self._connection = connection
        self._now = now

    async def get(self, order_id: int) -> Order | None:
        """One order with its items."""
        found = await self._load(select(orders).where(orders.c.id == order_id))
        return found[0] if found else None

    async def lock(self, order_ids: Collection[int]) -> list[Order]:
        """Locks the orders that exist, in the order of their ids, which is the same for everybody."""
        chosen = select(orders).where(orders.c.id.in_(sorted(order_ids))).order_by(orders.c.id)
        return await self._load(chosen.with_for_update())

    async def called_off(self, order_ids: Collection[int]) -> tuple[int, ...]:
        """By the primary key."""
        cancelled = select(orders.c.id).where(
            orders.c.id.in_(order_ids), orders.c.order_status == ORDER_STATUS_CODES[OrderStatus.CANCELLED]
        )
        return tuple((await self._connection.execute(cancelled.order_by(orders.c.id))).scalars())

    async def add(self, order: Order) -> bool:
        """Inserts first: a look before would not stop anyone else from inserting meanwhile."""
        values = {
            "id": order.order_id,
            "order_sn": order.order_sn,
            "user_id": order.user_id,
            "shop_id": order.shop_id,
            "shipping_type": 0,
            "shipping_status": 0,
            "order_status": ORDER_STATUS_CODES[order.status],
            "create_time": order.create_time,
            "update_time": order.create_time,
        } | {f"receiver_{name}": getattr(order.receiver, name) or None for name in RECEIVER_COLUMNS}
        try:
            await self._connection.execute(insert(orders).values(values))
            await self._connection.execute(
                insert(order_items),
                [
                    {
                        "id": item.order_item_id or None,
                        "order_id": order.order_id,
                        "sku": item.sku,
                        "product_name": item.product_name or None,
                        "quantity": item.quantity,
                    }
                    for item in order.items
                ],
            )
        except IntegrityError as error:
            if duplicate_key(error) is None:
                raise
            return False
        return True

    async def save_status(self, order_id: int, status: OrderStatus) -> None:
        """Stores a status that the order system told."""
        await self._update(order_id, order_status=ORDER_STATUS_CODES[status])

    async def project(self, order_id: int, status: OrderStatus, furthest: PackageState | None) -> None:
        """The legacy scale of shipping_status begins at 0, prepare_status at -1."""
        shipping_status = 0 if furthest is None else STATE_CODES[furthest] + 1
        await self._update(order_id, order_status=ORDER_STATUS_CODES[status], shipping_status=shipping_status)

    async def seen_as(self, order_ids: Collection[int]) -> Mapping[int, PackageState | None]:
        """The legacy scale once more; an order without a package looks like one whose package is PENDING."""
        chosen = select(orders.c.id, orders.c.shipping_status).where(orders.c.id.in_(sorted(order_ids)))
        rows = await self._connection.execute(chosen)
        return {row.id: STATES.get(row.shipping_status - 1) for row in rows}

    async def add_action(self, order_ids: Sequence[int], event: PackageEvent) -> None:
        """One row an order, with the statuses as they are after the step."""
        action_type = ACTION_TYPES.get(event.verb)
        if action_type is None:
            return
        statuses = select(
            orders.c.id, orders.c.order_status, orders.c.shipping_status, orders.c.shipping_type
        ).where(orders.c.id.in_(order_ids))
        rows = (await self._connection.execute(statuses.order_by(orders.c.id))).all()
        step = {
            "action_type": action_type,
            "logistics_voucher_file": ",".join(event.evidence_ids)[:MOST_VOUCHER_LENGTH],
            "create_by": str(event.actor)[:64],
            "create_time": event.create_time,
            "remark": event.note or None,
        }
        if rows:
            await self._connection.execute(
                insert(order_actions),
                [
                    {
                        "order_id": row.id,
                        "order_status": row.order_status,
                        "shipping_status": row.shipping_status,
                        "shipping_type": row.shipping_type,
                        **step,
                    }
                    for row in rows
                ],
            )

    async def list_by_ids(self, order_ids: Collection[int]) -> list[Order]:
        """By the primary key."""
        return await self._load(select(orders).where(orders.c.id.in_(sorted(order_ids))))

    async def list_orders(self, which: OrderFilter, size: int, before: int | None) -> list[Order]:
        """By keyset on the id, newest first."""
        statement = select(orders).order_by(orders.c.id.desc()).limit(size)
        if which.shop_id is not None:
            statement = statement.where(orders.c.shop_id == which.shop_id)
        if which.user_id is not None:
            statement = statement.where(orders.c.user_id == which.user_id)
        if which.status is not None:
            statement = statement.where(orders.c.order_status == ORDER_STATUS_CODES[which.status])
        if before is not None:
            statement = statement.where(orders.c.id < before)
        return await self._load(statement)

    async def _update(self, order_id: int, **values: int) -> None:
        statement = update(orders).where(orders.c.id == order_id)
        await self._connection.execute(statement.values(**values, update_time=self._now))

    async def _load(self, statement: Select[Any]) -> list[Order]:
        rows = (await self._connection.execute(statement)).all()
        items = await self._items([row.id for row in rows])
        return [_order(row, items[row.id]) for row in rows]

    async def _items(self, order_ids: Sequence[int]) -> defaultdict[int, list[OrderItem]]:
        items: defaultdict[int, list[OrderItem]] = defaultdict(list)
        if order_ids:
            columns = order_items.c
            sku = func.coalesce(columns.sku, cast(columns.sku_id, String(20))).label("code")
            statement = (
                select(columns.id, columns.order_id, sku, columns.quantity, columns.product_name)
                .where(columns.order_id.in_(order_ids))
                .order_by(columns.id)
            )
            for row in await self._connection.execute(statement):
                name = row.product_name if isinstance(row.product_name, str) else ""
                items[row.order_id].append(OrderItem(row.id, row.code, row.quantity, name))
        return items


def _order(row: Any, items: list[OrderItem]) -> Order:
    receiver = Receiver(*(getattr(row, f"receiver_{name}") or "" for name in RECEIVER_COLUMNS))
    return Order(
        row.id,
        row.order_sn,
        row.user_id,
        row.shop_id,
        ORDER_STATUSES[row.order_status],
        tuple(items),
        receiver,
        row.create_time,
    )
