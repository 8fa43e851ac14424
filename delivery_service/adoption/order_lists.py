"""Reads the order lists of all packages, as the migrations read them, and names what is odd in them."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Protocol, cast

from alembic.util import load_python_file
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption.dialect import status
from delivery_service.adoption.run import Dialect, Run
from delivery_service.adoption.survey import Listed, Survey
from servicekit.reports.findings import Findings
from servicekit.schema.migrations import Schema

PAGE = 2000

_ORDERS = text("SELECT id, shop_id FROM tigu_order WHERE id > :after ORDER BY id LIMIT :size")
_COUNT = text("SELECT (SELECT count(*) FROM tigu_order) + (SELECT count(*) FROM tigu_prepare_goods)")

UNKNOWN = "orders in lists that do not exist; left out"
FOREIGN = "orders of another shop than their package; taken over"
WITHOUT_ORDERS = "packages of no order that exists; taken over without orders"
SHARED = "orders in several active packages of one leg; the package with the lowest id keeps the order"

_ODD = {
    UNKNOWN: "SELECT p.sn, 'order ' || id_of(l.order_key) FROM listed l JOIN packages p ON p.key = l.package_key"
    " WHERE l.order_key NOT IN (SELECT key FROM orders) ORDER BY p.key, l.order_key",
    FOREIGN: "SELECT p.sn, 'order ' || id_of(o.key) || ' of shop ' || o.shop || ', package of shop ' || p.shop"
    " FROM listed l JOIN packages p ON p.key = l.package_key JOIN orders o ON o.key = l.order_key"
    " WHERE o.shop <> p.shop ORDER BY p.key, o.key",
    WITHOUT_ORDERS: "SELECT p.sn, '' FROM packages p WHERE NOT EXISTS (SELECT 1 FROM listed l"
    " JOIN orders o ON o.key = l.order_key WHERE l.package_key = p.key) ORDER BY p.key",
    SHARED: "SELECT 'order ' || id_of(order_key), 'leg ' || leg || ': ' || group_concat(sn, ', ') FROM"
    " (SELECT l.order_key, p.leg, p.sn FROM listed l JOIN packages p ON p.key = l.package_key"
    " JOIN orders o ON o.key = l.order_key WHERE p.active AND p.leg IS NOT NULL ORDER BY l.order_key, p.leg, p.key)"
    " GROUP BY order_key, leg HAVING count(*) > 1",
}


class Reading(Protocol):
    """What `order_lists.py`, beside the revisions, does; NO_ID is the fault of a part that is no id."""

    NO_ID: str

    def read(self, order_ids: str) -> Iterator[Any]:
        """The parts of a list, each with order_id, fault and text."""


def reading(schema: Schema) -> Reading:
    """The reading that the upgrade will use."""
    return cast(Reading, load_python_file(schema.location, "order_lists.py"))


async def survey(run: Run, connection: AsyncConnection, dialect: Dialect) -> Survey:
    """Goes through all orders and packages once, and notes every oddity of their lists."""
    made, lists = Survey(), reading(run.schema)
    total = int((await connection.execute(_COUNT)).scalar_one())
    with run.progress("reading order lists", total) as advance:
        async for orders in _pages(connection, str(_ORDERS)):
            made.add_orders((order.id, order.shop_id) for order in orders)
            advance(len(orders))
        async for packages in _pages(connection, _packages(dialect)):
            made.add_packages([_listed(package, lists, run.oddities) for package in packages])
            advance(len(packages))
        made.all_there()
    for says, select in _ODD.items():
        for row, problem in made.rows(select):
            run.oddities.add(says, row, problem)
    return made


def _packages(dialect: Dialect) -> str:
    return (
        "SELECT id, prepare_sn, order_ids, delivery_type, type, shop_id, prepare_status,"
        f" {status('prepare_status', dialect)} AS status_of_ours"
        " FROM tigu_prepare_goods WHERE id > :after ORDER BY id LIMIT :size"
    )


async def _pages(connection: AsyncConnection, select: str) -> AsyncIterator[Sequence[Any]]:
    after = -1
    while rows := (await connection.execute(text(select), {"after": after, "size": PAGE})).all():
        yield rows
        after = rows[-1].id


def _listed(package: Any, lists: Reading, oddities: Findings) -> Listed:
    orders = []
    for part in lists.read(package.order_ids or ""):
        if part.fault is not None:
            oddities.add(f"lists of orders with {part.fault}", package.prepare_sn, part.text)
        if part.order_id is not None:
            orders.append(part.order_id)
    return Listed(
        package.id,
        package.prepare_sn,
        package.delivery_type,
        package.type if package.type in (0, 1) else None,
        package.status_of_ours is None or package.status_of_ours < 6,
        package.prepare_status is not None and package.prepare_status < 6,
        package.shop_id,
        tuple(orders),
        package.order_ids or "",
    )
