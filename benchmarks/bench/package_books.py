"""The database of one delivery: orders by the ten thousand, and how many rows of each kind there are."""

import asyncio
import time
from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.bench.results import Void

SKU = "TEA"
SHOP = 1
CHUNK = 5_000
RELAY_SECONDS, LOOK_SECONDS = 60.0, 0.05

_ORDERS = text("""
    INSERT INTO tigu_order (id, order_sn, user_id, shop_id, shipping_type, shipping_status, order_status,
        create_time, update_time)
    VALUES (:n, :sn, 1, :shop, 0, 0, 1, UTC_TIMESTAMP(), UTC_TIMESTAMP())
""")
_ITEMS = text("INSERT INTO tigu_order_item (id, order_id, sku, quantity) VALUES (:n, :n, :sku, 1)")
_COUNTS = text("""
    SELECT (SELECT COUNT(*) FROM tigu_prepare_goods) AS packages,
        (SELECT COUNT(*) FROM tigu_prepare_goods_order) AS links,
        (SELECT COUNT(*) FROM tigu_prepare_goods_item) AS items,
        (SELECT COUNT(*) FROM package_event) AS events,
        (SELECT COUNT(*) FROM outbox WHERE command = 'RESERVE') AS wishes,
        (SELECT COUNT(*) FROM outbox WHERE done_time IS NULL) AS waiting
""")


async def add_orders(engine: AsyncEngine, count: int) -> None:
    """Paid orders 1 … `count` of one shop, each of one unit."""
    async with engine.begin() as connection:
        for first in range(1, count + 1, CHUNK):
            numbers = range(first, min(first + CHUNK, count + 1))
            rows = [{"n": n, "sn": f"ON{n}", "shop": SHOP} for n in numbers]
            await connection.execute(_ORDERS, rows)
            await connection.execute(_ITEMS, [{"n": n, "sku": SKU} for n in numbers])


async def counts(engine: AsyncEngine) -> Mapping[str, int]:
    """What is in it now."""
    async with engine.connect() as connection:
        row = (await connection.execute(_COUNTS)).one()
    return {name: int(value) for name, value in row._mapping.items()}


async def wait_for_relay(engine: AsyncEngine) -> None:
    """Returns when inventory has answered everything. Raises Void where that takes too long."""
    until = time.monotonic() + RELAY_SECONDS
    while waiting := (await counts(engine))["waiting"]:
        if time.monotonic() > until:
            raise Void(f"{waiting} commands for inventory are not done after {RELAY_SECONDS:g} s")
        await asyncio.sleep(LOOK_SECONDS)


async def require(engine: AsyncEngine, **expected: int) -> None:
    """Raises Void where a count is not exactly as expected."""
    found = await counts(engine)
    wrong = {name: found[name] for name, number in expected.items() if found[name] != number}
    if wrong:
        raise Void(f"delivery's books say {wrong}, acknowledged was {expected}")
