"""Every stock as it was, kept in the database until the end, and the rules by which the end is compared with it."""

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.adoption.catalogue import Column, Tables
from inventory_service.adoption.checks import (
    LEGACY_STATUSES,
    OPEN,
    due,
    flags_of,
    reserved,
    status_of_reservation,
    with_metrics,
)
from inventory_service.adoption.documents import DOCUMENTS
from inventory_service.adoption.expectations import TABLES
from inventory_service.adoption.journal import SKUS, STOCKS
from inventory_service.domain.legacy import MONEY
from servicekit.reports.findings import Check

# What the upgrade converts is compared by rules of its own. Triggers of others may touch updated_at.
_CONVERTED = {"status", "reserved_quantity", "updated_at", "sku", "version", *DOCUMENTS}


def keep_stocks(tables: Tables, zone: str) -> str:
    """SQL: the table of all stocks as they are, with the units that they will hold."""
    return f"CREATE TABLE {STOCKS} AS {_stocks(tables, zone)}"


def totals(tables: Tables, zone: str) -> str:
    """SQL: what there is in all, as (name, value); money as the consolidated row will have it."""
    sums = "".join(
        f" UNION ALL SELECT 'sum of {name}', COALESCE(sum({_money(tables, name)}), 0)::text FROM rows s{_FINANCE}"
        if "stock_financial" in tables
        else f" UNION ALL SELECT 'sum of {name}', COALESCE(sum(s.{name}), 0)::text FROM rows s"
        for name in MONEY
    )
    return (
        f"WITH rows AS (SELECT * FROM inventory.stock), held AS ({held(tables, zone)})"
        " SELECT 'stocks' AS name, count(*)::text AS value FROM rows s"
        " UNION ALL SELECT 'units', COALESCE(sum(s.quantity), 0)::text FROM rows s"
        f" UNION ALL SELECT 'reserved units', COALESCE(sum(units), 0)::text FROM held{sums}"
    )


async def totals_now(connection: AsyncConnection) -> Mapping[str, str]:
    """The same of an adopted database: what was not changed from the rows, units from ledger and holds."""
    money = "".join(
        f" UNION ALL SELECT 'sum of {name}', COALESCE(sum({name}), 0)::text FROM inventory.stock"
        for name in MONEY
    )
    select = (
        "SELECT 'stocks' AS name, count(*)::text AS value FROM inventory.stock"
        " UNION ALL SELECT 'units', COALESCE(sum(delta), 0)::text FROM inventory.stock_movement"
        " UNION ALL SELECT 'reserved units', COALESCE(sum(quantity), 0)::text"
        f" FROM inventory.reservation_line WHERE open{money}"
    )
    return {row.name: row.value for row in await connection.execute(text(select))}


_BOTH = f"{STOCKS} a JOIN inventory.stock s ON s.id = a.id"


def verification(tables: Tables, kept: Sequence[str], *, with_skus: bool) -> Iterator[Check]:
    """What must be true at the end of every stock, beside what its documents say."""
    yield from _of_rows(kept, with_skus)
    yield from _of_books()
    for flag in flags_of(tables):
        listed = f"""s.listed_on_platforms @> '[{{"platform": "{flag.removeprefix("listed_")}"}}]'"""
        says = f"stocks that were {flag} and have no such listing"
        yield Check(says, _rows("''", _BOTH, f"s.{flag} AND ({listed}) IS NOT TRUE"))
    if "stock_reservation" in tables:
        yield Check(
            "open rows of stock_reservation that became no reservation",
            "SELECT r.id::text AS row, '' AS problem FROM inventory.stock_reservation r"
            f" WHERE {status_of_reservation(tables)} IN {OPEN} AND NOT EXISTS (SELECT FROM inventory.reservation n"
            " WHERE n.reservation_id = 'legacy:reservation:' || r.id)",
        )


def _of_rows(kept: Sequence[str], with_skus: bool) -> Iterator[Check]:
    lost = f"{STOCKS} a LEFT JOIN inventory.stock s ON s.id = a.id"
    yield Check("stocks that are lost", _rows("''", lost, "s.id IS NULL"))
    same = f"md5(ROW({', '.join(f's.{_quoted(name)}' for name in kept)})::text)"
    yield Check("stocks whose values changed", _rows("''", _BOTH, f"a.kept <> {same}"))
    became = f"CASE WHEN a.status IN {LEGACY_STATUSES} THEN 'in_stock' ELSE a.status END"
    differs = "a.status || ' became ' || s.status"
    yield Check("stocks whose status is another", _rows(differs, _BOTH, f"s.status <> {became}"))
    code = f"COALESCE((SELECT k.sku FROM {SKUS} k WHERE k.id = a.id), 'none')" if with_skus else "a.id::text"
    yield Check("stocks with another code", _rows("s.sku", _BOTH, f"s.sku <> {code}"))


def _of_books() -> Iterator[Check]:
    moved = "SELECT stock_id, sum(delta) AS units FROM inventory.stock_movement GROUP BY 1"
    yield Check(
        "stocks that their movements do not explain",
        _rows(
            "s.quantity || ', moved ' || COALESCE(m.units, 0)",
            f"{_BOTH} LEFT JOIN ({moved}) m ON m.stock_id = a.id",
            "s.quantity <> COALESCE(m.units, 0)",
        ),
    )
    held = "SELECT stock_id, sum(quantity) AS units FROM inventory.reservation_line WHERE open GROUP BY 1"
    yield Check(
        "stocks whose reserved units are others than before, or than their holds",
        _rows(
            "s.reserved_quantity || ', was ' || a.reserved || ', held ' || COALESCE(l.units, 0)",
            f"{_BOTH} LEFT JOIN ({held}) l ON l.stock_id = a.id",
            "s.reserved_quantity <> a.reserved OR s.reserved_quantity <> COALESCE(l.units, 0)",
        ),
    )


def _rows(problem: str, of: str, where: str) -> str:
    return f"SELECT a.id::text AS row, {problem} AS problem FROM {of} WHERE {where}"


_FINANCE = " LEFT JOIN inventory.stock_financial f ON f.stock_id = s.id"


def _stocks(tables: Tables, zone: str) -> str:
    values = ", ".join(_as_it_will_be(tables, column, zone) for column in kept_columns(tables).values())
    documents = ", ".join(
        f"s.{name}" if name in tables["stock"] else f"NULL::jsonb AS {name}" for name in DOCUMENTS
    )
    finance = _FINANCE if "stock_financial" in tables else ""
    return (
        f"SELECT s.id, md5(ROW({values})::text) AS kept, s.status::text AS status, h.units AS reserved, {documents}"
        f" FROM inventory.stock s{finance} JOIN ({held(tables, zone)}) h ON h.id = s.id"
    )


def held(tables: Tables, zone: str) -> str:
    """SQL: the units that each stock will hold: what is counted, else what open reservations say."""
    counted = reserved(tables)
    if "stock_reservation" not in tables:
        return f"SELECT s.id, {counted} AS units FROM {with_metrics(tables)}"
    return (
        f"SELECT s.id, COALESCE(NULLIF({counted}, 0), d.units, 0) AS units FROM {with_metrics(tables)}"
        f" LEFT JOIN {due(tables, zone)} d ON d.stock_id = s.id"
    )


def kept_columns(tables: Tables) -> Mapping[str, Column]:
    """The columns of stock whose values the upgrade must not change, money filled from the split table aside."""
    return {name: column for name, column in tables["stock"].items() if name not in _CONVERTED}


def _as_it_will_be(tables: Tables, column: Column, zone: str) -> str:
    expected = {wanted.name: wanted.type for wanted in TABLES["stock"]}.get(column.name, column.type)
    if column.name in MONEY:
        return _money(tables, column.name)
    if column.is_zoneless and expected.startswith("timestamp"):
        return f"(s.{column.name}::timestamp AT TIME ZONE '{zone}')"
    return f"s.{_quoted(column.name)}" + ("::jsonb" if (column.type, expected) == ("json", "jsonb") else "")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _money(tables: Tables, name: str) -> str:
    return f"COALESCE(s.{name}, f.{name})" if "stock_financial" in tables else f"s.{name}"
