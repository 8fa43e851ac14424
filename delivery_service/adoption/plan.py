"""What an adoption finds and what becomes of it."""

from collections.abc import AsyncIterator

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption import totals
from delivery_service.adoption.catalogue import Tables
from delivery_service.adoption.conversion import zoneless_columns
from delivery_service.adoption.dialect import CLAIMED, STATUSES, shipping_type
from delivery_service.adoption.run import Dialect, Run
from delivery_service.adoption.survey import Survey
from delivery_service.adoption.zones import is_utc
from delivery_service.domain.legacy import ACTION_TYPES, STATES, WORKFLOWS
from servicekit.reports.report_table import Line

_NUMBERS = {
    "orders": ("tigu_order", "TRUE", "the same"),
    "items of orders": ("tigu_order_item", "TRUE", "the same, their sku the number of their sku_id"),
    "items of packages": (
        "tigu_prepare_goods_item",
        "TRUE",
        "the same, their sku the number of their sku_id",
    ),
    "drivers": ("tigu_driver", "TRUE", "the same"),
    "warehouses": ("tigu_warehouse", "TRUE", "the same"),
    "files": ("tigu_uploaded_files", "TRUE", "the same; no evidence, as nobody verified them"),
    "actions of a step": (
        "tigu_order_action",
        f"action_type IN ({', '.join(map(str, ACTION_TYPES.values()))})",
        "the same, and events of the only package of their order",
    ),
    "actions with files": (
        "tigu_order_action",
        "logistics_voucher_file <> ''",
        "the same; the event names the files",
    ),
    "actions of no step": (
        "tigu_order_action",
        f"action_type NOT IN ({', '.join(map(str, ACTION_TYPES.values()))})",
        "the same",
    ),
}


async def lines(run: Run, connection: AsyncConnection, tables: Tables, survey: Survey) -> list[Line]:
    """The lines, packages first; nothing contradicts itself any more."""
    told = [line async for line in _of_packages(connection, run.dialect)]
    told += [
        Line(
            "orders in their lists",
            str(next(survey.rows("SELECT count(*) FROM listed"))[0]),
            "rows of a mapping",
        )
    ]
    promised = await totals.promised(connection, tables, run.dialect, run.zone, survey)
    told += [Line(f"of these {name}", promised[name], "the same") for name in (totals.ORDERS, totals.LEGS)]
    for what, (table, where, becomes) in _NUMBERS.items():
        told.append(Line(what, str(await _count(connection, f"{table} WHERE {where}")), becomes))
    if not is_utc(run.zone):
        told.append(await _of_times(run, connection, tables))
    return told


async def _of_packages(connection: AsyncConnection, dialect: Dialect) -> AsyncIterator[Line]:
    yield Line("packages", str(await _count(connection, "tigu_prepare_goods")), "packages without a hold")
    select = (
        "SELECT prepare_status, COUNT(*) AS number FROM tigu_prepare_goods GROUP BY prepare_status ORDER BY 1"
    )
    for row in await connection.execute(text(select)):
        stored = row.prepare_status
        state = STATES[None if stored is None else STATUSES[dialect][stored]]
        claimed = dialect is Dialect.OF_2025_12 and stored == CLAIMED
        becomes = f"{state}{', claimed by their driver' if claimed else ''}"
        yield Line(
            f"packages with prepare_status {'NULL' if stored is None else stored}", str(row.number), becomes
        )
    destination = shipping_type("shipping_type", dialect)
    select = (
        f"SELECT delivery_type, shipping_type, {destination} AS destination, COUNT(*) AS number"
        f" FROM tigu_prepare_goods GROUP BY delivery_type, shipping_type, {destination} ORDER BY 1, 2"
    )
    for row in await connection.execute(text(select)):
        pair = f"packages with delivery_type {row.delivery_type}, shipping_type {row.shipping_type}"
        yield Line(pair, str(row.number), WORKFLOWS[row.delivery_type, row.destination])
    leg_1 = await _count(connection, "tigu_prepare_goods WHERE type = 1")
    yield Line("packages from a warehouse (type 1)", str(leg_1), "leg 1")


async def _of_times(run: Run, connection: AsyncConnection, tables: Tables) -> Line:
    number = 0
    for table, columns in zoneless_columns(tables).items():
        counts = " + ".join(f"COUNT({column})" for column in columns)
        select = f"SELECT {counts} FROM {table}"
        number += int((await connection.execute(text(select))).scalar_one())
    return Line(f"times of {run.zone.key}", str(number), "the same in UTC")


async def _count(connection: AsyncConnection, rows: str) -> int:
    select = f"SELECT COUNT(*) FROM {rows}"
    return int((await connection.execute(text(select))).scalar_one())
