"""What an adoption finds and what becomes of it, in lines that an operator reads."""

from collections.abc import AsyncIterator, Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.adoption.catalogue import Tables
from inventory_service.adoption.checks import LEGACY_STATUSES, OPEN, flags_of, status_of_reservation
from inventory_service.adoption.document_checks import Counted
from inventory_service.adoption.shape import Kind, Shape
from inventory_service.domain.legacy import BACKUPS, SPLIT_TABLES
from servicekit.reports.report_table import Line


async def lines(
    connection: AsyncConnection,
    shape: Shape,
    totals: Mapping[str, str],
    documents: Counted,
    skus: int | None,
) -> AsyncIterator[Line]:
    """The lines, in the order in which the upgrade gets to them."""

    code = (
        "the same, named by their ids" if skus is None else f"the same, named by the {skus} codes of the file"
    )
    yield Line("stocks", totals["stocks"], code)
    async for line in _of_tables(connection, shape):
        yield line
    yield Line("documents", str(documents.documents), "lists of entries of one shape")
    yield Line("listings in them", str(documents.listings), "listings")
    yield Line("changes of status in them", str(documents.changes), "status history")
    if "stock_reservation" in shape.tables:
        yield await _of_reservations(connection, shape.tables)
    becomes = "holds of their holders, and of legacy for what nothing explains"
    yield Line("reserved units", totals["reserved units"], becomes)
    yield Line("units", totals["units"], "opening entries of the ledger")


async def _of_tables(connection: AsyncConnection, shape: Shape) -> AsyncIterator[Line]:
    tables = shape.tables
    becomes = "the past, which stock has outrun" if shape.kind is Kind.AFTER else "values of stock"
    for table in SPLIT_TABLES:
        if table in tables:
            rows = await _count(connection, table)
            yield Line(f"rows of {table}", str(rows), f"{becomes}; the table stays")
    for backup in BACKUPS:
        if backup in tables:
            yield Line(f"rows of {backup}", str(await _count(connection, backup)), "the same")
    for status in LEGACY_STATUSES:
        if rows := await _count(connection, "stock", f"status::text = '{status}'"):
            listed = ", listed on " + status.removeprefix("listed_") if status != "reserved" else ""
            yield Line(f"stocks with the status {status}", str(rows), f"in_stock{listed}")
    for flag in flags_of(tables):
        rows = await _count(connection, "stock", flag)
        yield Line(f"stocks with the flag {flag}", str(rows), "listings, unless they have one")


async def _of_reservations(connection: AsyncConnection, tables: Tables) -> Line:
    select = (
        "SELECT count(*), COALESCE(sum(reserved_quantity), 0) FROM inventory.stock_reservation r"
        f" WHERE {status_of_reservation(tables)} IN {OPEN}"
    )
    rows, held = (await connection.execute(text(select))).one()
    return Line(
        "open rows of stock_reservation", str(rows), f"reservations over {held} units; past ones expired"
    )


async def _count(connection: AsyncConnection, table: str, where: str = "true") -> int:
    select = f"SELECT count(*) FROM inventory.{table} WHERE {where}"
    return int((await connection.execute(text(select))).scalar_one())
