"""The documents of all stocks before anything is changed: counted as they will be, and looked through for oddities."""

from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.adoption.catalogue import Tables
from inventory_service.adoption.documents import DOCUMENTS
from inventory_service.domain.legacy_documents import Conversion, Entry
from inventory_service.domain.stock import Platform, StockStatus
from servicekit.reports.findings import Findings

LISTINGS, HISTORY = "listings", "status history"
_PLATFORMS = frozenset(Platform)
_STATUSES = frozenset([None, *StockStatus])
_ELSEWHERE = timezone(timedelta(hours=1, minutes=7))


@dataclass
class Counted:
    """How much there is in documents; what a stock and its split row both say is one."""

    documents: int = 0
    listings: int = 0
    changes: int = 0


async def check_documents(
    connection: AsyncConnection,
    tables: Tables,
    convert: Conversion,
    zone: tzinfo,
    findings: Findings,
    oddities: Findings,
    *,
    zone_is_told: bool,
) -> Counted:
    """Counts what stocks will have; notes what the upgrade could not read, and what no call will show.

    Where nobody told the zone, times that need one are noted too.
    """
    counted = Counted()
    async with connection.stream(text(_documents(tables, convert))) as rows:
        async for row in rows:
            counted.documents += 1
            entries = _entries(row, convert, zone, findings)
            if not zone_is_told:
                _note_times(row, entries, convert, oddities)
            if row.kind == LISTINGS:
                counted.listings += len(entries)
                _note_listings(str(row.id), entries, oddities)
            else:
                counted.changes += len(entries)
                _note_changes(str(row.id), entries, oddities)
    return counted


def _documents(tables: Tables, convert: Conversion) -> str:
    """SQL: each stock's documents of each kind: its own, that of the split table, and what both say together."""
    own = ", ".join(_column(name, name in tables["stock"]) for name in DOCUMENTS)
    split = ", ".join(_column(name, True) for name in DOCUMENTS)
    lifecycle = (
        f"SELECT stock_id, {split} FROM inventory.stock_lifecycle"
        if "stock_lifecycle" in tables
        else "SELECT NULL::uuid AS stock_id, NULL::jsonb AS listed_on_platforms, NULL::jsonb AS status_history"
    )
    both = f"(SELECT id, {own} FROM inventory.stock) s LEFT JOIN ({lifecycle}) l ON l.stock_id = s.id"
    return " UNION ALL ".join(
        f"SELECT s.id, '{kind}' AS kind, s.{name}::text AS stock, l.{name}::text AS stock_lifecycle,"
        f" ({convert.together(name)})::text AS together FROM {both}"
        f" WHERE s.{name} IS NOT NULL OR l.{name} IS NOT NULL"
        for kind, name in zip((LISTINGS, HISTORY), DOCUMENTS, strict=True)
    )


def _column(name: str, is_there: bool) -> str:
    return f"{name if is_there else 'NULL'}::jsonb AS {name}"


def _entries(row: Any, convert: Conversion, zone: tzinfo, findings: Findings) -> list[Entry]:
    """What both places say together; nothing where one of them cannot be read, which is noted."""
    read: dict[str | None, list[Entry] | None] = {}
    for place in ("stock", "stock_lifecycle", "together"):
        document = getattr(row, place)
        if document in read or (place == "together" and None in read.values()):
            continue
        try:
            read[document] = _read(row.kind, document, str(row.id), convert, zone)
        except convert.WrongShape as error:
            read[document] = None
            findings.add(f"documents of no known shape: {row.kind}", f"{place} {row.id}", str(error))
    return read.get(row.together) or []


def _read(kind: str, document: str | None, stock_id: str, convert: Conversion, zone: tzinfo) -> list[Entry]:
    if kind == LISTINGS:
        return convert.listings(document, stock_id, zone) or []
    return convert.status_history(document, zone) or []


def _note_times(row: Any, entries: list[Entry], convert: Conversion, oddities: Findings) -> None:
    """A time to which the zone makes a difference does not say its own."""
    if entries and entries != _read(row.kind, row.together, str(row.id), convert, _ELSEWHERE):
        says = "times in documents that do not say their zone, read as UTC unless --time-zone says another"
        oddities.add(says, str(row.id), row.kind)


def _note_listings(stock_id: str, listings: list[Entry], oddities: Findings) -> None:
    for listing in listings:
        if listing["platform"] not in _PLATFORMS:
            says = "listings of unknown platforms, which stay in their stock and are not shown"
            oddities.add(says, stock_id, listing["platform"])


def _note_changes(stock_id: str, history: list[Entry], oddities: Findings) -> None:
    for change in history:
        statuses = (change["from_status"], change["to_status"])
        if not _STATUSES.issuperset(statuses):
            says = "changes of status with an unknown one, which stays in their stock and is not shown"
            oddities.add(says, stock_id, " to ".join(status or "none" for status in statuses))
