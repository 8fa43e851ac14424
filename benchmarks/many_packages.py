"""Packages by the hundred thousand, made by the engine itself, on MySQL and MariaDB.

Nine of ten are completed; the newest are on their way, in every state of their workflow. Orders are numbered from
1, so that ids are parts of other ids. A package has one or two; some were packed again after a cancellation, some
are on their second leg. As in old data, some of the newest have no status, and some lists have blanks.
"""

from collections.abc import Callable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

BATCH = 2**16

# Package n has the orders 2n-1 and, where n is odd, 2n. Every twentieth packs those of the fifth before it once more,
# because that was cancelled; every twentieth carries them on from the warehouse.
_DRAW = """
INSERT INTO bench_package
SELECT n, TIMESTAMPADD(SECOND, n * 20, '2024-01-01'), packs, leg, workflow DIV 2, workflow % 2,
    CASE WHEN n % 20 = 2 THEN 7 WHEN n <= :packages * 0.9 THEN 6 WHEN n % 20 = 9 THEN 3
        ELSE ELT(workflow + 1, ELT(draw % 6 + 1, NULL, -1, 0, 3, 4, 5), ELT(draw % 4 + 1, NULL, -1, 0, 5),
            ELT(draw % 8 + 1, NULL, -1, 0, 1, 2, 3, 4, 5), ELT(draw % 5 + 1, NULL, -1, 0, 1, 5)) END
FROM (
    SELECT n, IF(n % 20 IN (7, 14), n - 5, n) AS packs, n % 20 = 14 AS leg, draw,
        CASE n % 20 WHEN 9 THEN 0 WHEN 14 THEN 3 ELSE draw DIV 8 % 4 END AS workflow
    FROM (SELECT n + :before AS n, CRC32(n + :before) AS draw FROM bench_number) numbers WHERE n <= :packages
) drawn
"""
_ROWS = (
    """
INSERT INTO tigu_order (id, order_sn, user_id, shop_id, order_status, shipping_status, create_time, update_time)
SELECT 2 * n - twice, CONCAT('SO', 2 * n - twice), n % 50000 + 1, n % 200 + 1, IF(status = 6, 3, 1),
    COALESCE(status, -1) + 1, made, made
FROM bench_package JOIN (SELECT 0 AS twice UNION SELECT 1) twice
""",
    """
INSERT INTO tigu_order_item (id, order_id, sku, quantity)
SELECT 2 * n - twice, 2 * n - twice, CONCAT('SKU-', n % 5000), 2
FROM bench_package JOIN (SELECT 0 AS twice UNION SELECT 1) twice
""",
    """
INSERT INTO tigu_prepare_goods (id, prepare_sn, order_ids, delivery_type, shipping_type, prepare_status, type,
    shop_id, receiver_name, receiver_address, warehouse_id, driver_id, stock_state, reservation_id, create_time,
    update_time, legacy_write_time)
SELECT n, CONCAT('PG', n), CONCAT_WS(IF(n % 50 = 3, ', ', ','), 2 * packs - 1, IF(packs % 2, 2 * packs, NULL)),
    delivery_type, shipping_type, status, leg, packs % 200 + 1, 'A. Receiver', '12 Long Street, third floor',
    IF(leg OR NOT shipping_type, packs % 40 + 1, NULL), IF(delivery_type AND (status > 0 OR n % 2), n % 500 + 1, NULL),
    CASE WHEN leg THEN 0 WHEN status = 7 THEN 7 WHEN status > 0 THEN 5 WHEN n % 25 = 0 THEN 1 ELSE 2 END,
    IF(leg, NULL, CONCAT_WS(':', CONCAT('PG', n), 1)), made, made, NULL
FROM bench_package
""",
    """
INSERT INTO tigu_prepare_goods_order (prepare_goods_id, order_id, active_leg)
SELECT n, 2 * packs - twice, IF(COALESCE(status, -1) < 6, leg, NULL)
FROM bench_package JOIN (SELECT 0 AS twice UNION SELECT 1) twice WHERE twice OR packs % 2
""",
    """
INSERT INTO tigu_prepare_goods_item (prepare_id, order_item_id, sku, quantity, create_time)
SELECT prepare_goods_id, order_id, CONCAT('SKU-', packs % 5000), 2, made
FROM bench_package JOIN tigu_prepare_goods_order ON prepare_goods_id = n
""",
)
_HISTORY = (
    """
INSERT INTO package_event (package_id, sequence, verb, from_status, to_status, actor_role, actor_id, evidence_ids,
    note, create_time)
SELECT n, step, ELT(step, 'CREATE', 'PREPARE'), IF(step = 1, NULL, -1), step - 2, 'MERCHANT', packs % 200 + 1,
    IF(step = 1, '[]', CONCAT('["E', n, '"]')), '', made
FROM bench_package JOIN (SELECT 1 AS step UNION SELECT 2) step WHERE step = 1 OR status >= 0
""",
    """
INSERT INTO evidence (evidence_id, package_id, package_sn, kind, file_name, media_type, size_bytes, sha256,
    used_sha256, used_sequence, width, height, uploader, create_time)
SELECT CONCAT('E', n), n, CONCAT('PG', n), 'PREPARATION', 'a.jpg', 'image/jpeg', 90000, SHA2(n, 256),
    IF(status >= 0, SHA2(n, 256), NULL), IF(status >= 0, 2, NULL), 800, 600,
    CONCAT('merchant:', packs % 200 + 1), made
FROM bench_package
""",
    """
INSERT INTO outbox (event_id, package_id, package_sn, package_version, command, payload, trace, state,
    next_attempt_time, create_time)
SELECT LEFT(SHA2(CONCAT(n, ' ', version), 256), 32), n, CONCAT('PG', n), version, ELT(version, 'RESERVE', 'COMMIT'),
    JSON_OBJECT('reservation_id', CONCAT_WS(':', CONCAT('PG', n), 1), 'lines', JSON_OBJECT('SKU-1', 2)), '',
    IF(n % 500 = 0, 3, IF(n % 25 = 0 AND status IS NULL, 0, 2)), made, made
FROM bench_package JOIN (SELECT 1 AS version UNION SELECT 2) version
WHERE NOT leg AND (version = 1 OR status BETWEEN 1 AND 6)
""",
)
_TABLES = (
    "tigu_order",
    "tigu_order_item",
    "tigu_prepare_goods",
    "tigu_prepare_goods_order",
    "tigu_prepare_goods_item",
    "package_event",
    "evidence",
    "outbox",
)


async def add_packages(
    engine: AsyncEngine, packages: int, *, history: bool, told: Callable[[int], None] = lambda _: None
) -> None:
    """Fills the tables of the present schema, which are empty; with `history` also events, photos and the outbox.

    `told` hears how many packages are there after each batch.
    """
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("CREATE TABLE bench_number (n INT PRIMARY KEY)"))
        await connection.execute(text("INSERT INTO bench_number VALUES (1)"))
        for bit in range(min(packages, BATCH - 1).bit_length()):
            doubled = "INSERT INTO bench_number SELECT n + :step FROM bench_number"
            await connection.execute(text(doubled), {"step": 2**bit})
        await connection.execute(
            text(
                "CREATE TABLE bench_package (n BIGINT PRIMARY KEY, made DATETIME, packs BIGINT, leg INT,"
                " delivery_type INT, shipping_type INT, status INT)"
            )
        )
        for before in range(0, packages, BATCH):
            await connection.execute(text("TRUNCATE bench_package"))
            await connection.execute(text(_DRAW), {"before": before, "packages": packages})
            for statement in _ROWS + (_HISTORY if history else ()):
                await connection.execute(text(statement))
            told(min(before + BATCH, packages))
        await connection.execute(text("DROP TABLE bench_number, bench_package"))
        await connection.execute(text(f"ANALYZE TABLE {', '.join(_TABLES)}"))
