"""Gives adopted packages a timeline: what the old system noted of their steps, and last that they were adopted.

Actions of the old system belong to orders. They become events of a package where its order is in no other; where
it is in several, nothing tells whose they are, and the event of the adoption names them. Files are named by their
numbers: nobody verified their bytes, so they are no evidence. The rows themselves stay as they are.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption.catalogue import Tables
from delivery_service.adoption.conversion import untouched
from delivery_service.adoption.run import Dialect
from delivery_service.adoption.steps import Step
from delivery_service.adoption.timeline import Adopted, timeline

BATCH = 500

_PACKAGES = text(
    "SELECT id, order_ids, prepare_status, driver_id FROM tigu_prepare_goods WHERE id > :after ORDER BY id"
    " LIMIT :size"
)
_ORDERS = text(
    "SELECT prepare_goods_id, order_id FROM tigu_prepare_goods_order WHERE prepare_goods_id IN :ids ORDER BY order_id"
).bindparams(bindparam("ids", expanding=True))
_SHARED = text(
    "SELECT order_id FROM tigu_prepare_goods_order WHERE order_id IN :ids GROUP BY order_id HAVING COUNT(*) > 1"
).bindparams(bindparam("ids", expanding=True))
_ACTIONS = text(
    "SELECT id, order_id, action_type, logistics_voucher_file AS files, create_by, create_time, remark"
    " FROM tigu_order_action WHERE order_id IN :ids ORDER BY create_time, id"
).bindparams(bindparam("ids", expanding=True))
_ADD = text(
    "INSERT INTO package_event (package_id, sequence, verb, from_status, to_status, actor_role, actor_id, driver_id,"
    " evidence_ids, note, create_time) VALUES (:package_id, :sequence, :verb, :from_status, :to_status, :actor_role,"
    " :actor_id, :driver_id, :evidence_ids, :note, :create_time)"
)
_NOW = text("SELECT UTC_TIMESTAMP(6)")
_STEPS = {
    "PREPARE": "prepare_time",
    "PICK_UP": "pick_up_time",
    "ARRIVE": "arrive_time",
    "RECEIVE": "receive_time",
    "SHIP": "ship_time",
    "DELIVER": "deliver_time",
}


def steps(tables: Tables, dialect: Dialect, zone: ZoneInfo) -> Sequence[Step]:
    """One step over all packages, whose legacy rows are converted and whose orders are mapped."""
    kept = "".join(f", p.{name} = p.{name}" for name in untouched(tables["tigu_prepare_goods"], {}))
    latest = ", ".join(
        f"MAX(IF(verb = '{verb}', create_time, NULL)) AS {name}" for verb, name in _STEPS.items()
    )
    times = ", ".join(f"p.{name} = e.{name}" for name in _STEPS.values())
    set_times = (
        f"UPDATE tigu_prepare_goods p JOIN (SELECT package_id, {latest} FROM package_event"
        " WHERE package_id > :after AND package_id <= :last GROUP BY package_id) e ON e.package_id = p.id"
        f" SET {times}{kept}"
    )
    # Only a list that is still the one that was read: the old application may go on writing.
    set_list = (
        f"UPDATE tigu_prepare_goods p SET p.order_ids = :listed{kept} WHERE p.id = :id AND p.order_ids = :was"
    )

    async def batch(connection: AsyncConnection, after: int) -> tuple[int | None, int]:
        packages = (await connection.execute(_PACKAGES, {"after": after, "size": BATCH})).all()
        if not packages:
            return None, 0
        adopted = await _adopted(connection, packages)
        now = (await connection.execute(_NOW)).scalar_one()
        # Nothing but values: the driver then sends many rows at once.
        await connection.execute(_ADD, [event for package in adopted for event in timeline(package, now)])
        last = packages[-1].id
        await connection.execute(text(set_times), {"after": after, "last": last})
        lists = [
            {"id": package.package_id, "listed": package.listed, "was": package.order_ids}
            for package in adopted
            if package.listed != package.order_ids
        ]
        if lists:
            await connection.execute(text(set_list), lists)
        return last, len(packages)

    return [Step("timelines", "writing timelines", "tigu_prepare_goods", batch)]


async def _adopted(connection: AsyncConnection, packages: Sequence[Any]) -> list[Adopted]:
    orders: defaultdict[int, list[int]] = defaultdict(list)
    for row in await connection.execute(_ORDERS, {"ids": [package.id for package in packages]}):
        orders[row.prepare_goods_id].append(row.order_id)
    all_orders = sorted({order for of_package in orders.values() for order in of_package})
    shared, actions = await _actions(connection, all_orders)
    return [
        Adopted(
            package.id,
            package.order_ids,
            ",".join(map(str, orders[package.id])),
            -1 if package.prepare_status is None else package.prepare_status,
            package.driver_id,
            [action for order in orders[package.id] if order not in shared for action in actions[order]],
            [action for order in orders[package.id] if order in shared for action in actions[order]],
        )
        for package in packages
    ]


async def _actions(
    connection: AsyncConnection, orders: Collection[int]
) -> tuple[set[int], Mapping[int, list[Any]]]:
    """The orders that are in several packages, and the actions of each order by their time."""
    actions: defaultdict[int, list[Any]] = defaultdict(list)
    if not orders:
        return set(), actions
    shared = set((await connection.execute(_SHARED, {"ids": orders})).scalars())
    for action in await connection.execute(_ACTIONS, {"ids": orders}):
        actions[action.order_id].append(action)
    return shared, actions
