"""What is strange in rows and is taken over all the same, each with what becomes of it."""

from collections.abc import Iterator

from inventory_service.adoption.catalogue import Tables
from inventory_service.adoption.documents import DOCUMENTS
from inventory_service.adoption.snapshot import held
from inventory_service.domain.legacy import MONEY, SPLIT_TABLES
from servicekit.findings import Check

_NOTHING = """('null', '[]', '{}', '""')"""
_LACKING = {
    "stock_financial": ("money", {name: f"s.{name} IS NULL AND b.{name} IS NOT NULL" for name in MONEY}),
    "stock_lifecycle": (
        "listings or history",
        {
            name: f"COALESCE(s.{name}::jsonb, 'null') IN {_NOTHING} AND b.{name}::jsonb NOT IN {_NOTHING}"
            for name in DOCUMENTS
        },
    ),
    "stock_metrics": (
        "reserved units",
        {"reserved_quantity": "COALESCE(s.reserved_quantity, 0) = 0 AND b.reserved_quantity <> 0"},
    ),
}
"""Split table → what it held, and of each column whether row `b` of its backup says what stock `s` does not."""


def checks(tables: Tables, zone: str) -> Iterator[Check]:
    """Each kind; those of documents are noted with them."""
    yield Check(
        "stocks with the status reserved, which become in_stock: what nothing holds of them can be sold",
        "SELECT s.id::text AS row, (s.quantity - h.units) || ' of ' || s.quantity AS problem FROM inventory.stock s"
        f" JOIN ({held(tables, zone)}) h ON h.id = s.id WHERE s.status::text = 'reserved' AND s.quantity > h.units",
    )
    yield Check(
        "external_ids that are no object, which stay in their stock and are not shown",
        "SELECT id::text AS row, left(external_ids::text, 60) AS problem FROM inventory.stock"
        " WHERE jsonb_typeof(external_ids::jsonb) <> 'object'"
        """ AND external_ids::jsonb NOT IN ('null', '[]', '""')""",
    )
    for table in SPLIT_TABLES:
        if table not in tables and f"{table}_backup" in tables:
            yield from _of_backup(table, tables)


def _of_backup(table: str, tables: Tables) -> Iterator[Check]:
    """What the last copy of a split table says and its stock does not: nothing takes that over any more."""
    backup = f"{table}_backup"
    held_there, lacking = _LACKING[table]
    there = tables["stock"].keys() & tables[backup].keys()
    said = " UNION ALL ".join(
        f"SELECT '{name} ' || left(b.{name}::text, 60) WHERE {condition}"
        for name, condition in lacking.items()
        if name in there
    )
    if said and "stock_id" in tables[backup]:
        yield Check(
            f"rows of {backup} with {held_there} that their stock has not, and does not get",
            f"SELECT b.stock_id::text AS row, array_to_string(l.said, ', ') AS problem FROM inventory.{backup} b"
            f" JOIN inventory.stock s ON s.id = b.stock_id CROSS JOIN LATERAL (SELECT ARRAY({said}) AS said) l"
            " WHERE l.said <> '{}'",
        )
