"""The JSON of listings and histories, before and after, read with the conversion of revision 0003 itself."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, cast

from alembic.util import load_python_file
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.adoption.catalogue import Tables
from inventory_service.adoption.findings import Findings
from inventory_service.domain.legacy_documents import Conversion, lost_entries
from servicekit.migrations import Schema

DOCUMENTS = ("listed_on_platforms", "status_history")


@dataclass
class Counted:
    """How much there is in documents."""

    documents: int = 0
    listings: int = 0
    changes: int = 0


def conversion(schema: Schema) -> Conversion:
    """The conversion that the upgrade will use."""
    return cast(Conversion, load_python_file(schema.location, "legacy_documents.py"))


def sources(tables: Tables, stocks: str = "stock") -> str:
    """SQL: every row with documents, of the split table too; `stocks` has those of the stocks themselves."""
    own = tables[stocks]
    listed, history = (f"{name}::text" if name in own else "NULL::text" for name in DOCUMENTS)
    selects = []
    if own.keys() & set(DOCUMENTS):
        selects.append(
            f"SELECT id, 'stock' AS place, {listed} AS listings, {history} AS history FROM inventory.{stocks}"
        )
    if "stock_lifecycle" in tables:
        selects.append(
            "SELECT stock_id, 'stock_lifecycle', listed_on_platforms::text, status_history::text"
            " FROM inventory.stock_lifecycle WHERE stock_id IS NOT NULL"
        )
    rows = (
        " UNION ALL ".join(selects)
        or "SELECT NULL::uuid AS id, '' AS place, NULL AS listings, NULL AS history"
    )
    return f"SELECT * FROM ({rows}) d (id, place, listings, history) WHERE listings IS NOT NULL OR history IS NOT NULL"


async def check_documents(
    connection: AsyncConnection, tables: Tables, convert: Conversion, zone: tzinfo, findings: Findings
) -> Counted:
    """Counts what there is; notes every document that the upgrade could not read."""
    counted = Counted()
    async for row in _stream(connection, sources(tables)):
        counted.documents += 1
        try:
            counted.listings += len(convert.listings(row.listings, str(row.id), zone) or ())
        except convert.WrongShape as error:
            findings.add("documents of no known shape: listings", f"{row.place} {row.id}", str(error))
        try:
            counted.changes += len(convert.status_history(row.history, zone) or ())
        except convert.WrongShape as error:
            findings.add("documents of no known shape: status history", f"{row.place} {row.id}", str(error))
    return counted


async def verify_documents(
    connection: AsyncConnection, tables: Tables, convert: Conversion, zone: tzinfo, findings: Findings
) -> None:
    """Notes every listing and every change of status that was there before and is not there now."""
    before = sources(tables, "adoption_stock")
    joined = (
        "SELECT b.id, b.listings, b.history, s.listed_on_platforms::text AS listings_now,"
        f" s.status_history::text AS history_now FROM ({before}) b LEFT JOIN inventory.stock s ON s.id = b.id"
    )
    async for row in _stream(connection, joined):
        for says, entry in lost_entries(convert, row, zone):
            findings.add(says, str(row.id), entry)


async def _stream(connection: AsyncConnection, select: str) -> AsyncIterator[Any]:
    async with connection.stream(text(select)) as rows:
        async for row in rows:
            yield row
