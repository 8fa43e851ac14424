"""After Phase 2: what the split tables, or their backups, and other older columns still say and the stocks do not.

The stocks are right. Each difference is told, since nobody but the operator knows which of them are mistakes.
"""

from collections.abc import Iterator

from inventory_service.adoption.catalogue import Tables
from inventory_service.adoption.checks import due, flags_of, of_split_table
from inventory_service.adoption.documents import DOCUMENTS
from inventory_service.adoption.shape import Shape
from inventory_service.domain.legacy import MONEY, SPLIT_TABLES
from inventory_service.domain.stock import Platform
from servicekit.reports.findings import Check

_NOTHING = """('null', '[]', '{}', '""')"""
_DIFFERS = {
    "stock_financial": (
        "money",
        {name: f"b.{name} IS NOT NULL AND s.{name} IS DISTINCT FROM b.{name}" for name in MONEY},
    ),
    "stock_lifecycle": (
        "listings or history",
        {
            name: f"b.{name}::jsonb NOT IN {_NOTHING} AND NOT COALESCE(s.{name}::jsonb @> b.{name}::jsonb"
            f" OR s.{name}::jsonb @> jsonb_build_array(b.{name}::jsonb), false)"
            for name in DOCUMENTS
        },
    ),
    "stock_metrics": (
        "reserved units",
        {"reserved_quantity": "b.reserved_quantity <> COALESCE(s.reserved_quantity, 0)"},
    ),
}
"""Split table → what it holds, and of each column whether row `b` says another thing than stock `s`."""


def outrun(shape: Shape, zone: str) -> Iterator[Check]:
    """Each kind of difference; of a database after Phase 2."""
    tables = shape.tables
    for table in SPLIT_TABLES:
        if table in tables:
            yield from of_split_table(table, tables)
        there = [name for name in (table, f"{table}_backup") if name in tables]
        if there:
            yield from _of_split_table(table, there[0], tables)
    if "stock_reservation" in tables:
        yield Check(
            "stocks that count no reserved units and of which stock_reservation holds some, which stay held",
            f"SELECT s.id::text AS row, d.units || ' units' AS problem FROM inventory.stock s"
            f" JOIN {due(tables, zone)} d ON d.stock_id = s.id WHERE COALESCE(s.reserved_quantity, 0) = 0",
        )
    yield _of_flags(tables)


def _of_split_table(table: str, place: str, tables: Tables) -> Iterator[Check]:
    holds, differs = _DIFFERS[table]
    said = " UNION ALL ".join(
        f"SELECT '{name} ' || COALESCE(left(s.{name}::text, 120), 'none') || ', there ' || left(b.{name}::text, 120)"
        f" WHERE {condition}"
        for name, condition in differs.items()
        if name in tables[place]
    )
    if said and "stock_id" in tables[place]:
        yield Check(
            f"rows of {place} with other {holds} than their stock, which keeps its own",
            f"SELECT b.stock_id::text AS row, array_to_string(l.said, ', ') AS problem FROM inventory.{place} b"
            f" JOIN inventory.stock s ON s.id = b.stock_id CROSS JOIN LATERAL (SELECT ARRAY({said}) AS said) l"
            " WHERE l.said <> '{}'",
        )


def _of_flags(tables: Tables) -> Check:
    flags = {flag.removeprefix("listed_"): f"COALESCE(s.{flag}, false)" for flag in flags_of(tables)}
    listed = ", ".join(
        f"('{platform}', s.status::text = 'listed_{platform}' OR {flags.get(platform, 'false')})"
        for platform in Platform
    )
    entry = "jsonb_build_array(jsonb_build_object('platform', p.name, 'status', '{status}'))"
    return Check(
        "stocks whose listing has ended and whose flag or status says that they are listed there: they get another",
        f"SELECT s.id::text AS row, p.name AS problem FROM inventory.stock s"
        f" CROSS JOIN LATERAL (VALUES {listed}) p (name, listed) WHERE p.listed"
        f" AND s.listed_on_platforms::jsonb @> {entry.format(status='ended')}"
        f" AND NOT s.listed_on_platforms::jsonb @> {entry.format(status='active')}",
    )
