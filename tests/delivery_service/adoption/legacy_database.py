"""Databases as the legacy application left them: any number of packages, in each of the shapes and dialects."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from delivery_service.adoption.run import Dialect
from servicekit.schema.migrations import VERSION_TABLE, Schema
from servicekit.schema.schema_history import HISTORY_TABLE
from tests.delivery_service.adoption.legacy_rows import Packages, Planted, Row

COLUMNS = {
    "tigu_order": "id, order_sn, user_id, shop_id, total_amount, shipping_type, shipping_status, order_status,"
    " pay_status, shipping_time, create_time, update_time",
    "tigu_order_item": "id, order_id, product_id, sku_id, product_name, sku_code, quantity, price",
    "tigu_prepare_goods": "id, prepare_sn, order_ids, delivery_type, shipping_type, prepare_status, type, shop_id,"
    " receiver_name, total_value, settlement_status, warehouse_id, driver_id, create_time, update_time,"
    " actual_arrival_time",
    "tigu_prepare_goods_item": "prepare_id, order_item_id, product_id, sku_id, quantity, create_time",
    "tigu_uploaded_files": "id, file_name, file_url, create_time",
    "tigu_order_action": "order_id, order_status, shipping_status, shipping_type, action_type,"
    " logistics_voucher_file, create_by, create_time, remark",
    "tigu_driver": "id, name, phone, status",
    "tigu_warehouse": "id, code, name",
}
SIGNED = ("warehouse_id", "driver_id", "shop_id")
ROWS = 2000


@dataclass(frozen=True)
class Legacy:
    """What the database is like; `phase_6` is how many of its two indexes are there."""

    packages: int = 410
    phase_6: int = 0
    dialect: Dialect = Dialect.PHASE_6
    signed: bool = False
    odd: bool = True
    seed: int = 1


async def lay_out(engine: AsyncEngine, legacy: Legacy) -> Planted:
    """Makes such a database of an empty one; answers what is in it."""
    await Schema("delivery").upgrade(engine, "0001")
    async with engine.begin() as connection:
        await connection.exec_driver_sql(f"DROP TABLE {VERSION_TABLE}, {HISTORY_TABLE}")
        for column in SIGNED if legacy.signed else ():
            null = "NOT NULL" if column == "shop_id" else "NULL"
            await connection.exec_driver_sql(f"ALTER TABLE tigu_prepare_goods MODIFY {column} BIGINT {null}")
    packages = Packages(legacy.seed, legacy.dialect, odd=legacy.odd)
    people: list[tuple[str, Row]] = [
        ("tigu_driver", (n, f"D{n}", f"+{n}", n % 19 != 0)) for n in range(1, 21)
    ]
    people += [("tigu_warehouse", (n, f"W{n}", f"North {n}")) for n in range(1, 6)]
    rows = chain(people, *(packages.of(n) for n in range(1, legacy.packages + 1)))
    async with engine.connect() as connection:
        await connection.exec_driver_sql("SET unique_checks = 0, foreign_key_checks = 0")
        await _insert(connection, rows, packages.planted)
        await connection.exec_driver_sql("SET unique_checks = 1, foreign_key_checks = 1")
        for index in (
            "idx_order_ids (order_ids(100))",
            "idx_delivery_shipping (delivery_type, shipping_type)",
        )[: legacy.phase_6]:
            await connection.exec_driver_sql(f"ALTER TABLE tigu_prepare_goods ADD INDEX {index}")
    return packages.planted


async def _insert(connection: AsyncConnection, rows: Iterable[tuple[str, Row]], planted: Planted) -> None:
    waiting: dict[str, list[str]] = {table: [] for table in COLUMNS}
    for table, row in rows:
        waiting[table].append(f"({', '.join(map(_literal, row))})")
        planted.rows[table] += 1
        if len(waiting[table]) == ROWS:
            await _flush(connection, waiting)
    await _flush(connection, waiting)


async def _flush(connection: AsyncConnection, waiting: dict[str, list[str]]) -> None:
    for table, rows in waiting.items():
        if rows:
            await connection.exec_driver_sql(
                f"INSERT INTO {table} ({COLUMNS[table]}) VALUES {', '.join(rows)}"
            )
            rows.clear()
    await connection.commit()


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str | datetime):
        return f"'{value}'"
    return str(int(value))


async def state(engine: AsyncEngine) -> dict[str, str]:
    """Everything there is, catalogue and rows: equal before and after means that nothing changed."""
    async with engine.connect() as connection:
        tables = await connection.exec_driver_sql("SHOW FULL TABLES")
        found = {"tables": repr(tables.all())}
        for (table,) in (await connection.exec_driver_sql("SHOW TABLES")).all():
            definition = (await connection.exec_driver_sql(f"SHOW CREATE TABLE `{table}`")).one()
            rows = await connection.execute(text(f"SELECT * FROM `{table}`"))
            found[table] = f"{[*definition][1]}\n" + "\n".join(sorted(map(repr, rows)))
        return found
