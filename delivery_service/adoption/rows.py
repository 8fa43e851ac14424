"""A digest of every row as it was, kept in the database until the end, and the totals that must be there then."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption.catalogue import Column, Tables
from delivery_service.adoption.expectations import TABLES
from delivery_service.adoption.run import Run
from servicekit.reports.findings import Check

BATCH = 10_000

_MONEY = {"tigu_prepare_goods": "total_value", "tigu_order": "total_amount", "tigu_order_item": "price"}
_UNITS = ("tigu_prepare_goods_item", "tigu_order_item")
_NEXT = "SELECT MAX(id) FROM (SELECT id FROM {table} WHERE id > :after ORDER BY id LIMIT :batch) AS batch"


def kept_columns(tables: Tables, converted: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
    """By table the columns whose values must be the same at the end."""
    return {
        table: [
            column.name
            for column in tables[table].values()
            if column.name not in converted.get(table, ()) and not column.is_computed
        ]
        for table in TABLES
    }


async def keep_rows(run: Run, tables: Tables, kept: Mapping[str, Sequence[str]]) -> None:
    """Fills `adoption_row`; each batch of a table commits by itself."""
    for table, names in kept.items():
        add = (
            f"INSERT INTO adoption_row SELECT '{table}', id, {_digest([tables[table][name] for name in names])}"
            f" FROM {table} WHERE id > :after AND id <= :last"
        )
        async with run.engine.connect() as connection:
            number = f"SELECT COUNT(*) FROM {table}"
            rows = (await connection.execute(text(number))).scalar_one()
        with run.progress(f"noting {table}", rows) as advance:
            after = -1
            while (last := await _keep_batch(run, table, add, after)) is not None:
                after, noted = last
                advance(noted)


async def _keep_batch(run: Run, table: str, add: str, after: int) -> tuple[int, int] | None:
    async with run.engine.begin() as connection:
        window, page = {"after": after, "batch": BATCH}, _NEXT.format(table=table)
        last = (await connection.execute(text(page), window)).scalar()
        if last is None:
            return None
        done = await connection.execute(text(add), {"after": after, "last": last})
        return int(last), done.rowcount


def lost_or_changed(tables: Tables, kept: Mapping[str, Sequence[str]]) -> Iterator[Check]:
    """What must be true at the end of every row that was there at the beginning."""
    for table, names in kept.items():
        both = f"FROM adoption_row a LEFT JOIN {table} r ON r.id = a.id WHERE a.table_name = '{table}'"
        yield Check(
            f"rows of {table} that are lost", f"SELECT a.id AS `row`, '' AS problem {both} AND r.id IS NULL"
        )
        digest = _digest([tables[table][name] for name in names], "r.")
        changed = f"{both} AND r.id IS NOT NULL AND a.digest <> {digest}"
        yield Check(f"rows of {table} whose values changed", f"SELECT a.id AS `row`, '' AS problem {changed}")


async def totals(connection: AsyncConnection, kept: Collection[str]) -> Mapping[str, str]:
    """Counts, units and money of the legacy tables, by name."""
    sums = [
        *((f"rows of {table}", f"SELECT COUNT(*) FROM {table}") for table in kept),
        *((f"units of {table}", f"SELECT COALESCE(SUM(quantity), 0) FROM {table}") for table in _UNITS),
        *(
            (f"{name} of {table}", f"SELECT COALESCE(SUM({name}), 0) FROM {table}")
            for table, name in _MONEY.items()
        ),
    ]
    return {name: str((await connection.execute(text(select))).scalar_one()) for name, select in sums}


def _digest(columns: Sequence[Column], prefix: str = "") -> str:
    """SQL: thirty-two bytes that differ where any value differs; NULL differs from every value."""
    values = ", ".join(f"IFNULL({_bytes(column, prefix)}, 0x1E)" for column in columns)
    return f"UNHEX(SHA2(CONCAT_WS(0x1F, {values}), 256))"


def _bytes(column: Column, prefix: str) -> str:
    name = prefix + "`" + column.name.replace("`", "``") + "`"
    # MySQL casts a document to text only.
    return f"CAST(CAST({name} AS CHAR) AS BINARY)" if column.type == "json" else f"CAST({name} AS BINARY)"
