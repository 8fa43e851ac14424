"""Between a package and its rows."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Select, String, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.domain.order import OrderPackage
from delivery_service.domain.package import Package, PackageItem
from delivery_service.domain.reservation import Shortage
from delivery_service.domain.workflow import Verb
from delivery_service.persistence.codes import (
    STATE_CODES,
    STATES,
    STEP_COLUMNS,
    STOCK_STATE_CODES,
    STOCK_STATES,
    WORKFLOW_CODES,
    WORKFLOWS,
)
from delivery_service.persistence.readable import require_package
from delivery_service.persistence.tables import package_items, package_orders

# The old system named a stock by number only.
SKU = func.coalesce(package_items.c.sku, cast(package_items.c.sku_id, String(20))).label("code")

CHANGED_COLUMNS = (
    "prepare_status",
    "driver_id",
    "attempt",
    "reservation_id",
    "version",
    "stock_state",
    "rejection_reason",
    "shortages",
    "update_time",
    *STEP_COLUMNS.values(),
)
COLUMNS_OF_NEW = (
    *CHANGED_COLUMNS,
    "prepare_sn",
    "delivery_type",
    "shipping_type",
    "type",
    "shop_id",
    "warehouse_id",
    "create_time",
    "content_digest",
    "legacy_write_time",
)


def with_id(package: Package, package_id: int) -> Package:
    """The package with the number of its row."""
    return replace(package, package_id=package_id)


def values_of_new(package: Package) -> dict[str, Any]:
    """The columns of a new row, save the projection of its orders."""
    delivery_type, shipping_type = WORKFLOW_CODES[package.workflow]
    return changed_values(package) | {
        "prepare_sn": package.package_sn,
        "delivery_type": delivery_type,
        "shipping_type": shipping_type,
        "type": package.leg,
        "shop_id": package.shop_id,
        "warehouse_id": package.warehouse_id,
        "create_time": package.create_time,
        "content_digest": package.content_digest,
        "legacy_write_time": None,
    }


def changed_values(package: Package) -> dict[str, Any]:
    """The columns that a package's life changes."""
    return (
        {
            "prepare_status": STATE_CODES[package.state],
            "driver_id": package.driver_id,
            "attempt": package.attempt,
            "reservation_id": package.reservation_id,
            "version": package.version,
        }
        | stock_values(package)
        | _step_values(package)
    )


def stock_values(package: Package) -> dict[str, Any]:
    """The columns that inventory's answers change, save the version."""
    shortages = [asdict(shortage) for shortage in package.shortages]
    return {
        "stock_state": STOCK_STATE_CODES[package.stock_state],
        "rejection_reason": package.rejection_reason,
        "shortages": json.dumps(shortages) if shortages else None,
        "update_time": package.update_time,
    }


def _step_values(package: Package) -> dict[str, Any]:
    times: dict[str, Any] = {column: package.step_times.get(verb) for verb, column in STEP_COLUMNS.items()}
    # What the old application wrote there stays, where no step of ours says more.
    arrived = package.step_times.get(Verb.ARRIVE)
    return times if arrived is None else times | {"actual_arrival_time": arrived}


def item_values(package: Package) -> list[dict[str, Any]]:
    """A row an item."""
    return [
        {
            "prepare_id": package.package_id,
            "order_item_id": item.order_item_id,
            "sku": item.sku,
            "quantity": item.quantity,
            "create_time": package.create_time,
        }
        for item in package.items
    ]


def order_values(package: Package) -> list[dict[str, Any]]:
    """A row an order, which takes the order's leg."""
    return [
        {"prepare_goods_id": package.package_id, "order_id": order_id, "active_leg": package.leg}
        for order_id in package.order_ids
    ]


async def load(connection: AsyncConnection, statement: Select[Any]) -> list[Package]:
    """The packages that a select on their table finds, with items and orders: three statements in all.

    Raises PackageUnreadable, where the select does not ask for readable ones only.
    """
    rows = (await connection.execute(statement)).all()
    if not rows:
        return []
    ids = [row.id for row in rows]
    items = await _items(connection, ids)
    orders = await _orders(connection, ids)
    return [package_of(row, items[row.id], orders[row.id]) for row in rows]


async def _items(connection: AsyncConnection, ids: Sequence[int]) -> dict[int, list[PackageItem]]:
    columns = package_items.c
    rows = await connection.execute(
        select(columns.prepare_id, columns.order_item_id, SKU, columns.quantity)
        .where(columns.prepare_id.in_(ids))
        .order_by(columns.id)
    )
    items: defaultdict[int, list[PackageItem]] = defaultdict(list)
    for row in rows:
        items[row.prepare_id].append(item_of(row))
    return items


async def _orders(connection: AsyncConnection, ids: Sequence[int]) -> dict[int, list[int]]:
    columns = package_orders.c
    rows = await connection.execute(
        select(columns.prepare_goods_id, columns.order_id)
        .where(columns.prepare_goods_id.in_(ids))
        .order_by(columns.order_id)
    )
    orders: defaultdict[int, list[int]] = defaultdict(list)
    for row in rows:
        orders[row.prepare_goods_id].append(row.order_id)
    return orders


def order_packages(rows: Iterable[Any]) -> list[OrderPackage]:
    """What rows say of packages of orders, in order. Raises PackageUnreadable.

    Sorted here: for an engine, to sort the few rows of a join means a temporary table.
    """
    return sorted(map(_order_package, rows), key=lambda one: (one.order_id, one.leg, one.package_id))


def _order_package(row: Any) -> OrderPackage:
    require_package(row)
    return OrderPackage(
        row.order_id,
        row.id,
        row.prepare_sn,
        WORKFLOWS[row.delivery_type, row.shipping_type],
        row.type,
        STATES[row.prepare_status],
        row.warehouse_id,
    )


def item_of(row: Any) -> PackageItem:
    """The item that a row is."""
    return PackageItem(row.order_item_id, row.code, row.quantity)


def package_of(row: Any, items: Sequence[PackageItem], order_ids: Sequence[int]) -> Package:
    """The package that rows of three tables are. Raises PackageUnreadable."""
    require_package(row)
    times = {verb: getattr(row, column) for verb, column in STEP_COLUMNS.items()}
    return Package(
        package_id=row.id,
        package_sn=row.prepare_sn,
        workflow=WORKFLOWS[row.delivery_type, row.shipping_type],
        leg=row.type,
        shop_id=row.shop_id,
        warehouse_id=row.warehouse_id,
        driver_id=row.driver_id,
        order_ids=tuple(order_ids),
        items=tuple(items),
        state=STATES[row.prepare_status],
        stock_state=STOCK_STATES[row.stock_state],
        create_time=row.create_time,
        update_time=row.update_time,
        attempt=row.attempt,
        reservation_id=row.reservation_id,
        rejection_reason=row.rejection_reason,
        shortages=tuple(Shortage(**shortage) for shortage in json.loads(row.shortages or "[]")),
        version=row.version,
        step_times={verb: time for verb, time in times.items() if time is not None},
        content_digest=row.content_digest,
    )
