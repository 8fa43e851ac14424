"""Orders in `tigu_order` and `tigu_order_item`, and what old readers see of them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Select, String, bindparam, cast, func, insert, select, update
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
from delivery_service.persistence.fixed import Fixed
from delivery_service.persistence.readable import readable_order, require_order
from delivery_service.persistence.round_trips import RoundTrips
from delivery_service.persistence.tables import RECEIVER_COLUMNS, order_actions, order_items, orders
from servicekit.persistence.conflicts import duplicate_key

MOST_VOUCHER_LENGTH = 2000


_items = select(
    order_items.c.id,
    order_items.c.order_id,
    func.coalesce(order_items.c.sku, cast(order_items.c.sku_id, String(20))).label("code"),
    order_items.c.quantity,
    order_items.c.product_name,
).order_by(order_items.c.id)
_these: BindParameter[Any] = bindparam("order_ids", expanding=True)

_LOCK = Fixed(select(orders).where(orders.c.id.in_(_these)).order_by(orders.c.id).with_for_update())
_ITEMS = Fixed(_items.where(order_items.c.order_id.in_(_these)))
_PROJECT = Fixed(
    update(orders).where(orders.c.id == bindparam("order_id")),
    ["order_status", "shipping_status", "update_time"],
)
_STEP = ("action_type", "logistics_voucher_file", "create_by", "create_time", "remark")
_ADD_ACTION = Fixed(
    insert(order_actions).from_select(
        ["order_id", "order_status", "shipping_status", "shipping_type", *_STEP],
        select(
            orders.c.id,
            orders.c.order_status,
            orders.c.shipping_status,
            orders.c.shipping_type,
            *(bindparam(name, type_=order_actions.c[name].type) for name in _STEP),
        )
        .where(orders.c.id.in_(_these))
        .order_by(orders.c.id),
    )
)


class SqlOrders:
    """Orders over one connection."""

    def __init__(self, connection: AsyncConnection, now: datetime, trips: RoundTrips) -> None:
        self._connection = connection
        self._now = now
        self._trips = trips

    async def get(self, order_id: int) -> Order | None:
        """One order with its items."""
        found = await self._load(select(orders).where(orders.c.id == order_id))
        return found[0] if found else None

    async def lock(self, order_ids: Collection[int]) -> list[Order]:
        """Locks the orders that exist, in the order of their ids, which is the same for everybody."""
        if not order_ids:
            return []
        ids = sorted(order_ids)
        locked, items = await self._trips.send(_LOCK(order_ids=ids), _ITEMS(order_ids=ids))
        of_order = _by_order(items.rows)
        return [_order(row, of_order[row.id]) for row in locked.rows]

    async def called_off(self, order_ids: Collection[int]) -> tuple[int, ...]:
        """By the primary key."""
        cancelled = select(orders.c.id).where(
            orders.c.id.in_(order_ids), orders.c.order_status == ORDER_STATUS_CODES[OrderStatus.CANCELLED]
        )
        return tuple((await self._connection.execute(cancelled.order_by(orders.c.id))).scalars())

    async def ordered_units(self, order_item_ids: Collection[int]) -> Mapping[int, int]:
        """By the primary key of order items."""
        columns = order_items.c
        chosen = select(columns.id, columns.quantity).where(columns.id.in_(order_item_ids))
        return {row.id: row.quantity for row in await self._connection.execute(chosen)}

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
        await self._trips.write(
            _PROJECT(
                order_id=order_id,
                order_status=ORDER_STATUS_CODES[status],
                shipping_status=shipping_status,
                update_time=self._now,
            )
        )

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
        await self._trips.write(
            _ADD_ACTION(
                order_ids=sorted(order_ids) or [0],
                action_type=action_type,
                logistics_voucher_file=",".join(event.evidence_ids)[:MOST_VOUCHER_LENGTH],
                create_by=str(event.actor)[:64],
                create_time=event.create_time,
                remark=event.note or None,
            )
        )

    async def list_by_ids(self, order_ids: Collection[int]) -> list[Order]:
        """By the primary key."""
        return await self._load(select(orders).where(orders.c.id.in_(sorted(order_ids))))

    async def list_orders(self, which: OrderFilter, size: int, before: int | None) -> list[Order]:
        """By keyset on the id, newest first."""
        statement = select(orders).where(readable_order).order_by(orders.c.id.desc()).limit(size)
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
        if not order_ids:
            return defaultdict(list)
        chosen = _items.where(order_items.c.order_id.in_(order_ids))
        return _by_order((await self._connection.execute(chosen)).all())


def _by_order(rows: Iterable[Any]) -> defaultdict[int, list[OrderItem]]:
    items: defaultdict[int, list[OrderItem]] = defaultdict(list)
    for row in rows:
        name = row.product_name if isinstance(row.product_name, str) else ""
        items[row.order_id].append(OrderItem(row.id, row.code, row.quantity, name))
    return items


def _order(row: Any, items: list[OrderItem]) -> Order:
    require_order(row)
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
