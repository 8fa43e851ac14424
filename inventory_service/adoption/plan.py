"""What an adoption finds and what becomes of it, in lines that an operator reads."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.adoption.catalogue import Tables
from inventory_service.adoption.checks import LEGACY_STATUSES, OPEN, flags_of, status_of_reservation
from inventory_service.adoption.documents import Counted
from inventory_service.adoption.expectations import BACKUPS, SPLIT_TABLES


@dataclass(frozen=True)
class Line:
    """One kind of thing: how much of it is there, and what it becomes."""

    what: str
    found: str
    becomes: str


async def plan(
    connection: AsyncConnection,
    tables: Tables,
    totals: Mapping[str, str],
    documents: Counted,
    skus: int | None,
) -> AsyncIterator[Line]:
    """The lines, in the order in which the upgrade gets to them."""

    async def count(select: str) -> int:
        return int((await connection.execute(text(select))).scalar() or 0)

    code = (
        "the same, named by their ids" if skus is None else f"the same, named by the {skus} codes of the file"
    )
    yield Line("stocks", totals["stocks"], code)
    for table in SPLIT_TABLES:
        rows = await count(f"SELECT count(*) FROM inventory.{table}") if table in tables else 0
        yield Line(f"rows of {table}", str(rows), "values of stock; the table stays")
    for backup in BACKUPS:
        if backup in tables:
            rows = await count(f"SELECT count(*) FROM inventory.{backup}")
            yield Line(f"rows of {backup}", str(rows), "the same")
    for status in LEGACY_STATUSES:
        if rows := await count(f"SELECT count(*) FROM inventory.stock WHERE status::text = '{status}'"):
            listed = ", listed on " + status.removeprefix("listed_") if status != "reserved" else ""
            yield Line(f"stocks with the status {status}", str(rows), f"in_stock{listed}")
    for flag in flags_of(tables):
        rows = await count(f"SELECT count(*) FROM inventory.stock WHERE {flag}")
        yield Line(f"stocks with the flag {flag}", str(rows), "listings, unless they have one")
    yield Line("documents", str(documents.documents), "lists of entries of one shape")
    yield Line("listings in them", str(documents.listings), "listings")
    yield Line("changes of status in them", str(documents.changes), "status history")
    held = 0
    if "stock_reservation" in tables:
        is_open = f"{status_of_reservation(tables)} IN {OPEN}"
        rows = await count(f"SELECT count(*) FROM inventory.stock_reservation r WHERE {is_open}")
        held = await count(
            f"SELECT sum(reserved_quantity) FROM inventory.stock_reservation r WHERE {is_open}"
        )
        yield Line(
            "open rows of stock_reservation", str(rows), f"reservations over {held} units; past ones expired"
        )
    becomes = "holds of their holders, and of legacy for what nothing explains"
    yield Line("reserved units", totals["reserved units"], becomes)
    yield Line("units", totals["units"], "opening entries of the ledger")


def table_of(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under their heads, as wide as they need to be."""
    widths = [max(len(row[number]) for row in (head, *rows)) for number in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)
