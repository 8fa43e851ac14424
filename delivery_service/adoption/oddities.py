"""What is strange in the data and is taken over all the same; each rule says what becomes of the rows."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from delivery_service.adoption.catalogue import Tables
from delivery_service.adoption.conversion import zoneless_columns
from delivery_service.adoption.dialect import shipping_type, status
from delivery_service.adoption.run import Dialect
from delivery_service.adoption.zones import is_utc, unclear
from servicekit.reports.findings import Check


def checks(tables: Tables, dialect: Dialect, zone: ZoneInfo) -> Iterator[Check]:
    """Every rule over single rows, lists of orders and of files aside."""
    yield from _of_drivers(dialect)
    yield from _of_warehouses(dialect)
    yield from _of_items()
    yield from _of_orders()
    if not is_utc(zone):
        yield from _of_times(tables, zone)


def _of_drivers(dialect: Dialect) -> Iterator[Check]:
    yield _packages(
        "packages of a merchant's workflow with a driver; the driver is kept and has nothing to do",
        "p.delivery_type = 0 AND p.driver_id IS NOT NULL",
        "CONCAT('driver ', p.driver_id)",
    )
    yield _packages(
        "packages with a driver who does not exist; kept, a dispatcher can assign another",
        "p.driver_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM tigu_driver d WHERE d.id = p.driver_id)",
        "CONCAT('driver ', p.driver_id)",
    )
    yield _packages(
        "packages under way without their driver; a dispatcher has to assign one before they go on",
        f"p.delivery_type = 1 AND p.driver_id IS NULL AND {status('p.prepare_status', dialect)} IN (1, 2)",
    )


def _of_warehouses(dialect: Dialect) -> Iterator[Check]:
    to_warehouse = f"{shipping_type('p.shipping_type', dialect)} = 0"
    yield _packages(
        "packages to the user that name a warehouse; kept, and nothing is asked of it",
        f"p.type = 0 AND NOT ({to_warehouse}) AND p.warehouse_id IS NOT NULL",
        "CONCAT('warehouse ', p.warehouse_id)",
    )
    yield _packages(
        "packages with a warehouse that does not exist; kept, it acts by its id",
        "p.warehouse_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM tigu_warehouse w WHERE w.id = p.warehouse_id)",
        "CONCAT('warehouse ', p.warehouse_id)",
    )
    yield _packages(
        "packages that went through a warehouse and do not say which; taken over",
        f"{to_warehouse} AND p.warehouse_id IS NULL AND {status('p.prepare_status', dialect)} >= 5",
    )


def _of_items() -> Iterator[Check]:
    yield _packages(
        "packages without items; taken over, there is nothing to hold for them",
        "NOT EXISTS (SELECT 1 FROM tigu_prepare_goods_item i WHERE i.prepare_id = p.id)",
    )
    yield Check(
        "items of packages with no units; taken over",
        "SELECT p.prepare_sn AS `row`, CONCAT('item ', i.id) AS problem FROM tigu_prepare_goods_item i"
        " JOIN tigu_prepare_goods p ON p.id = i.prepare_id WHERE i.quantity = 0 ORDER BY i.id",
    )
    yield Check(
        "items of packages that belong to no item of an order; taken over",
        "SELECT p.prepare_sn AS `row`, CONCAT('item ', i.id) AS problem FROM tigu_prepare_goods_item i"
        " JOIN tigu_prepare_goods p ON p.id = i.prepare_id LEFT JOIN tigu_order_item o ON o.id = i.order_item_id"
        " WHERE o.id IS NULL ORDER BY i.id",
    )


def _of_orders() -> Iterator[Check]:
    yield Check(
        "items of orders that do not exist; kept, nobody reads them",
        "SELECT i.id AS `row`, CONCAT('order ', i.order_id) AS problem FROM tigu_order_item i"
        " WHERE NOT EXISTS (SELECT 1 FROM tigu_order o WHERE o.id = i.order_id) ORDER BY i.id",
    )
    yield Check(
        "actions of orders that do not exist; kept, they are in no timeline",
        "SELECT a.id AS `row`, CONCAT('order ', a.order_id) AS problem FROM tigu_order_action a"
        " WHERE NOT EXISTS (SELECT 1 FROM tigu_order o WHERE o.id = a.order_id) ORDER BY a.id",
    )


def _of_times(tables: Tables, zone: ZoneInfo) -> Iterator[Check]:
    kinds = {
        True: "times that the clock left out; taken as if it had not been put forward yet",
        False: "times that the clock went through twice; taken as the first",
    }
    for skipped, says in kinds.items():
        for table, columns in zoneless_columns(tables).items():
            for column in columns:
                where = unclear(column, zone, skipped=skipped)
                row = f"CONCAT('{table} ', id, ' {column}')"
                yield Check(
                    says,
                    f"SELECT {row} AS `row`, CAST({column} AS CHAR) AS problem FROM {table} WHERE {where} ORDER BY id",
                )


def _packages(says: str, where: str, problem: str = "''") -> Check:
    select = f"SELECT p.prepare_sn AS `row`, {problem} AS problem FROM tigu_prepare_goods p WHERE {where}"
    return Check(says, f"{select} ORDER BY p.id")
