"""Packages as the old application left them, any number of them, made by the database itself."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_DIGITS = " UNION ALL ".join(f"SELECT {digit} AS d" for digit in range(10))
_NUMBERS = ", ".join(f"({_DIGITS}) d{place}" for place in range(6))
_N = " + ".join(f"d{place}.d * {10**place}" for place in range(6))
# Every number is derived from the row's own, so that two runs measure the same rows.
_PART = f"SELECT {_N} + :begin AS n FROM {_NUMBERS} WHERE {_N} < :size"  # noqa: S608

ORDERS_EACH = 3

_ORDER = text(
    f"INSERT INTO tigu_order (id, order_sn, user_id, shop_id, order_status, create_time, update_time)"  # noqa: S608
    f" SELECT n, CONCAT('O', n), n % 5000, n % 300, 1, '2025-11-09', '2025-11-09' FROM ({_PART}) numbers"
)
# Two in a hundred lists have spaces, one in a hundred names an order of the package before it too.
_PACKAGE = text(
    "INSERT INTO tigu_prepare_goods (id, prepare_sn, order_ids, delivery_type, shipping_type, prepare_status, type,"  # noqa: S608
    " shop_id, driver_id, create_time, update_time)"
    " SELECT n, CONCAT('PG', n), CONCAT(3 * n - 2, IF(n % 50 = 0, ' , ', ','), 3 * n - 1, ',', 3 * n,"
    " IF(n % 100 = 1 AND n > 1, CONCAT(',', 3 * n - 3), '')), n % 2, n DIV 2 % 2, NULLIF(n % 8 - 1, -1), 0, n % 300,"
    f" IF(n % 2, n % 400, NULL), '2025-11-09', '2025-11-09' FROM ({_PART}) numbers"
)
_ITEM = text(
    "INSERT INTO tigu_prepare_goods_item (prepare_id, order_item_id, product_id, sku_id, quantity)"  # noqa: S608
    f" SELECT n, n, n % 900, n % 900, 1 + n % 3 FROM ({_PART}) numbers"
)
_ORDER_ITEM = text(
    "INSERT INTO tigu_order_item (id, order_id, product_id, sku_id, quantity)"  # noqa: S608
    f" SELECT n, n, n % 900, n % 900, 5 FROM ({_PART}) numbers"
)


async def add_legacy_packages(engine: AsyncEngine, size: int) -> None:
    """Fills a database at revision 0001: `size` packages with an item and three orders each."""
    for statement, rows in (
        (_ORDER, size * ORDERS_EACH),
        (_ORDER_ITEM, size * ORDERS_EACH),
        (_PACKAGE, size),
        (_ITEM, size),
    ):
        for begin in range(1, rows + 1, 100_000):
            async with engine.begin() as connection:
                part = {"begin": begin, "size": min(100_000, rows - begin + 1)}
                await connection.execute(statement, part)
