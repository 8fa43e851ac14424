"""What is strange in rows and is taken over all the same, each with what becomes of it."""

from collections.abc import Iterator

from inventory_service.adoption.catalogue import Tables
from inventory_service.adoption.outrun import outrun
from inventory_service.adoption.shape import Kind, Shape
from inventory_service.adoption.snapshot import held
from servicekit.reports.findings import Check


def checks(shape: Shape, zone: str) -> Iterator[Check]:
    """Each kind; those of documents are noted with them."""
    yield from _of_stock(shape.sources, zone)
    if shape.kind is Kind.AFTER:
        yield from outrun(shape, zone)


def _of_stock(tables: Tables, zone: str) -> Iterator[Check]:
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
