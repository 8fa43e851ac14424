"""What must be true of the rows before anything is changed; each check selects the rows that break it.

A check is SQL that answers (row, problem) for each violation, built for the tables and columns that are there.
"""

from collections.abc import Iterator

from inventory_service.adoption.catalogue import Tables
from inventory_service.adoption.expectations import FLAGS, TABLES
from inventory_service.adoption.shape import Shape
from inventory_service.domain.legacy import MONEY, SPLIT_TABLES
from inventory_service.domain.stock import MOST_UNITS, Platform, StockStatus
from servicekit.reports.findings import Check

STATUSES = tuple(status.value for status in StockStatus)
LEGACY_STATUSES = (*(f"listed_{platform}" for platform in Platform), "reserved")
OPEN = ("active", "open", "held", "pending", "reserved")
CLOSED = (
    *("released", "expired", "cancelled", "canceled", "completed", "fulfilled", "committed", "consumed"),
    *("sold", "closed", "done", "inactive"),
)


def reserved(tables: Tables) -> str:
    """SQL: the units held of stock `s`, which its row or the split table `m` counts."""
    own = "COALESCE(s.reserved_quantity, 0)" if "reserved_quantity" in tables["stock"] else "0"
    split = "COALESCE(m.reserved_quantity, 0)" if "stock_metrics" in tables else "0"
    return f"COALESCE(NULLIF({own}, 0), {split})"


def with_metrics(tables: Tables) -> str:
    """SQL: stock `s` beside its row `m` of stock_metrics, where there is such a table."""
    joined = " LEFT JOIN inventory.stock_metrics m ON m.stock_id = s.id" if "stock_metrics" in tables else ""
    return f"inventory.stock s{joined}"


def due(tables: Tables, zone: str) -> str:
    """SQL: per stock_id the units that open rows of stock_reservation hold now."""
    until = tables["stock_reservation"].get("reserved_until")
    at_zone = f"::timestamp AT TIME ZONE '{zone}'" if until and until.is_zoneless else ""
    still = f"(r.reserved_until IS NULL OR r.reserved_until{at_zone} > now())" if until else "true"
    return (
        "(SELECT r.stock_id, sum(r.reserved_quantity) AS units FROM inventory.stock_reservation r"
        f" WHERE {status_of_reservation(tables)} IN {OPEN} AND {still} GROUP BY r.stock_id)"
    )


def status_of_reservation(tables: Tables) -> str:
    """SQL: the status of row `r` of stock_reservation in lower case; one without a status is active."""
    known = "status" in tables["stock_reservation"]
    return "lower(COALESCE(r.status::text, 'active'))" if known else "'active'"


def checks(shape: Shape, revision: str, zone: str) -> Iterator[Check]:
    """Every check that this database needs before it is taken as a revision, the simplest first."""
    tables = shape.tables
    yield from _of_stock(tables)
    for table in SPLIT_TABLES:
        if table in shape.sources:
            yield from of_split_table(table, tables)
        elif table not in tables and f"{table}_backup" in tables and revision == "0001":
            select = f"SELECT stock_id::text AS row, '' AS problem FROM inventory.{table}_backup"
            yield Check(f"rows of {table}_backup, whose own table is gone", select)
    if "stock_financial" in shape.sources:
        yield _money()
    yield from _of_reserved_units(shape.sources)
    if "stock_reservation" in tables:
        yield from _of_reservations(shape.sources, zone)


def _of_stock(tables: Tables) -> Iterator[Check]:
    for column in TABLES["stock"]:
        if column.default and tables["stock"][column.name].nullable:
            select = f"SELECT id::text AS row, '' AS problem FROM inventory.stock WHERE {column.name} IS NULL"
            yield Check(f"stocks without {column.name}", select)
    yield Check(
        "stocks with a negative quantity",
        "SELECT id::text AS row, quantity::text AS problem FROM inventory.stock WHERE quantity < 0",
    )
    yield Check(
        f"stocks with more than {MOST_UNITS} units",
        f"SELECT id::text AS row, quantity::text AS problem FROM inventory.stock WHERE quantity > {MOST_UNITS}",
    )
    yield Check(
        "stocks with an unknown status",
        "SELECT id::text AS row, status::text AS problem FROM inventory.stock"
        f" WHERE status::text NOT IN {(*STATUSES, *LEGACY_STATUSES)}",
    )


def of_split_table(table: str, tables: Tables) -> Iterator[Check]:
    """What contradicts itself within a split table, its backup and the stocks there are."""
    yield Check(
        f"rows of {table} without their stock",
        f"SELECT COALESCE(t.stock_id::text, 'NULL') AS row, '' AS problem FROM inventory.{table} t"
        " WHERE NOT EXISTS (SELECT FROM inventory.stock s WHERE s.id = t.stock_id)",
    )
    yield Check(
        f"stocks with several rows in {table}",
        f"SELECT stock_id::text AS row, count(*) || ' rows' AS problem FROM inventory.{table}"
        " WHERE stock_id IS NOT NULL GROUP BY stock_id HAVING count(*) > 1",
    )
    if f"{table}_backup" in tables:
        select = (
            "SELECT COALESCE(j ->> 'stock_id', 'NULL') AS row, 'only in {here}' AS problem FROM"
            " (SELECT to_jsonb(t) AS j FROM inventory.{here} t EXCEPT ALL"
            " SELECT to_jsonb(t) FROM inventory.{there} t) x"
        )
        both = ((table, f"{table}_backup"), (f"{table}_backup", table))
        selects = (select.format(here=here, there=there) for here, there in both)
        yield Check(f"rows in which {table} and its backup differ", " UNION ALL ".join(selects))


def _money() -> Check:
    pairs = ", ".join(f"('{column}', s.{column}, f.{column})" for column in MONEY)
    return Check(
        "stocks whose money is another in stock_financial",
        "SELECT s.id::text AS row, p.name || ' ' || p.ours || ', there ' || p.theirs AS problem"
        " FROM inventory.stock s JOIN inventory.stock_financial f ON f.stock_id = s.id"
        f" CROSS JOIN LATERAL (VALUES {pairs}) AS p (name, ours, theirs) WHERE p.ours <> p.theirs",
    )


def _of_reserved_units(tables: Tables) -> Iterator[Check]:
    held = reserved(tables)
    yield Check(
        "stocks that hold more than they have, or less than nothing",
        f"SELECT s.id::text AS row, {held} || ' of ' || s.quantity AS problem FROM {with_metrics(tables)}"
        f" WHERE NOT {held} BETWEEN 0 AND GREATEST(s.quantity, 0)",
    )
    if "stock_metrics" in tables and "reserved_quantity" in tables["stock"]:
        yield Check(
            "stocks whose reserved units are others in stock_metrics",
            "SELECT s.id::text AS row, s.reserved_quantity || ', there ' || m.reserved_quantity AS problem"
            " FROM inventory.stock s JOIN inventory.stock_metrics m ON m.stock_id = s.id"
            " WHERE s.reserved_quantity <> 0 AND m.reserved_quantity <> s.reserved_quantity",
        )


def _of_reservations(tables: Tables, zone: str) -> Iterator[Check]:
    status = status_of_reservation(tables)
    row = "SELECT r.id || ' of stock ' || COALESCE(r.stock_id::text, 'NULL') AS row"
    yield Check(
        "rows of stock_reservation with an unknown status",
        f"{row}, {status} AS problem FROM inventory.stock_reservation r WHERE {status} NOT IN {OPEN + CLOSED}",
    )
    yield Check(
        "open rows of stock_reservation without their stock",
        f"{row}, '' AS problem FROM inventory.stock_reservation r WHERE {status} IN {OPEN}"
        " AND NOT EXISTS (SELECT FROM inventory.stock s WHERE s.id = r.stock_id)",
    )
    yield Check(
        "open rows of stock_reservation that hold nothing",
        f"{row}, r.reserved_quantity::text AS problem FROM inventory.stock_reservation r"
        f" WHERE {status} IN {OPEN} AND (r.reserved_quantity IS NULL OR r.reserved_quantity <= 0)",
    )
    held = reserved(tables)
    yield Check(
        "stocks whose reserved units are fewer than stock_reservation holds, or that have fewer units",
        "SELECT s.id::text AS row, d.units || ' held, ' || "
        f"{held} || ' counted, of ' || s.quantity AS problem"
        f" FROM {with_metrics(tables)} JOIN {due(tables, zone)} d ON d.stock_id = s.id"
        f" WHERE d.units > s.quantity OR ({held} <> 0 AND d.units > {held})",
    )


def flags_of(tables: Tables) -> list[str]:
    """The flag columns that are there."""
    return [flag for flag in FLAGS if flag in tables["stock"]]
