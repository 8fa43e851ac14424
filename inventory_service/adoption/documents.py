"""The JSON of listings and histories, before and after, read with the conversion of revision 0003 itself."""

from datetime import tzinfo
from typing import cast

from alembic.util import load_python_file
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.adoption.catalogue import Tables
from inventory_service.domain.legacy_documents import Conversion, lost_entries
from servicekit.reports.findings import Findings
from servicekit.schema.migrations import Schema

DOCUMENTS = ("listed_on_platforms", "status_history")


def conversion(schema: Schema) -> Conversion:
    """The conversion that the upgrade will use."""
    return cast(Conversion, load_python_file(schema.location, "legacy_documents.py"))


async def verify_documents(
    connection: AsyncConnection, tables: Tables, convert: Conversion, zone: tzinfo, findings: Findings
) -> None:
    """Notes every listing and every change of status that was there before and is not there now.

    Somebody may have written meanwhile what cannot be read: that is noted too.
    """
    before = "SELECT id, listed_on_platforms, status_history FROM inventory.adoption_stock"
    if "stock_lifecycle" in tables:
        # One with jsonb, the other perhaps with json.
        before = (
            "SELECT id, listed_on_platforms::text, status_history::text FROM inventory.adoption_stock UNION ALL"
            " SELECT stock_id, listed_on_platforms::text, status_history::text FROM inventory.stock_lifecycle"
        )
    joined = (
        "SELECT b.id, b.listed_on_platforms::text AS listings, b.status_history::text AS history,"
        " s.listed_on_platforms::text AS listings_now, s.status_history::text AS history_now"
        f" FROM ({before}) b LEFT JOIN inventory.stock s ON s.id = b.id"
        " WHERE b.listed_on_platforms IS NOT NULL OR b.status_history IS NOT NULL"
    )
    async with connection.stream(text(joined)) as rows:
        async for row in rows:
            try:
                for says, entry in lost_entries(convert, row, zone):
                    findings.add(says, str(row.id), entry)
            except convert.WrongShape as error:
                findings.add("documents of no known shape", str(row.id), str(error))
