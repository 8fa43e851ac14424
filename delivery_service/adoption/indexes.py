"""The indexes that are there, compared with those that are expected."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption.expectations import (
    LISTED_BY,
    PHASE_6,
    TAKEN_COLUMNS,
    TAKEN_INDEXES,
    UNIQUE,
    USEFUL,
)
from servicekit.adoption.shape import TAKEN, Difference, Verdict

Columns = tuple[tuple[str | None, int | None], ...]

_INDEXES = """
SELECT CAST(table_name AS CHAR) AS table_name, CAST(index_name AS CHAR) AS name, non_unique = 0 AS is_unique,
    CAST(LOWER(column_name) AS CHAR) AS column_name, sub_part AS sub_part, CAST(index_type AS CHAR) AS type,
    collation = 'D' AS descends, {hidden} AS is_hidden
FROM information_schema.statistics WHERE table_schema = DATABASE()
ORDER BY table_name, index_name, seq_in_index
"""


@dataclass(frozen=True)
class Index:
    """An index that is there: columns with the length of their prefix; a column of None is an expression."""

    name: str
    columns: Columns
    unique: bool
    type: str
    plain: bool
    """Whether it ascends and the engine may use it."""

    def __str__(self) -> str:
        listed = ", ".join(
            f"{name or 'an expression'}{'' if length is None else f'({length})'}"
            for name, length in self.columns
        )
        return (
            f"{'UNIQUE ' * self.unique}{self.type} ({listed}){'' if self.plain else ', hidden or descending'}"
        )


Indexes = Mapping[str, Mapping[str, Index]]


async def indexes_of(connection: AsyncConnection) -> Indexes:
    """Every index of the database, by table and name."""
    hidden = "ignored = 'YES'" if connection.dialect.is_mariadb else "is_visible = 'NO'"  # type: ignore[attr-defined]
    found: dict[str, dict[str, Index]] = {}
    select = _INDEXES.format(hidden=hidden)
    for row in await connection.execute(text(select)):
        table = found.setdefault(row.table_name, {})
        before = table[row.name].columns if row.name in table else ()
        columns = (*before, (row.column_name, None if row.sub_part is None else int(row.sub_part)))
        plain = not (row.descends or row.is_hidden) and (not before or table[row.name].plain)
        table[row.name] = Index(row.name, columns, bool(row.is_unique), row.type, plain)
    return found


def is_phase_6(name: str, indexes: Mapping[str, Index]) -> bool:
    """Whether the index of Phase 6 is there as Phase 6 made it."""
    found = indexes.get(name)
    wanted = Index(name, PHASE_6[name], unique=False, type="BTREE", plain=True)
    return found == wanted


def compare_indexes(table: str, found: Mapping[str, Index]) -> Iterator[Difference]:
    """Every difference in the indexes of one table."""
    for column in ("id", UNIQUE.get(table)):
        if column and not any(
            index.unique and index.columns == ((column, None),) for index in found.values()
        ):
            says = "is not kept unique by any index; add one"
            yield Difference(table, column, Verdict.STOPS, says)
    leading = {index.columns[0][0] for index in found.values()}
    if table in USEFUL and USEFUL[table] not in leading:
        says = "has no index; rows are looked up by it slowly"
        yield Difference(table, USEFUL[table], Verdict.KEPT, says)
    for index in found.values():
        yield from _of_index(table, index, found)


def _of_index(table: str, index: Index, found: Mapping[str, Index]) -> Iterator[Difference]:
    if table == "tigu_prepare_goods" and index.name in PHASE_6:
        if not is_phase_6(index.name, found):
            wanted = Index(index.name, PHASE_6[index.name], unique=False, type="BTREE", plain=True)
            says = f"is an index {index}, expected is {wanted}; rename or drop it"
            yield Difference(table, index.name, Verdict.STOPS, says)
    elif index.name in LISTED_BY and index.columns == ((LISTED_BY[index.name], None),):
        return
    elif index.name in TAKEN_INDEXES.get(table, ()):
        yield Difference(table, index.name, Verdict.STOPS, TAKEN)
    elif index.type == "FULLTEXT" and table in TAKEN_COLUMNS:
        says = "is a FULLTEXT index, beside which no column can be added online; drop it until the adoption is done"
        yield Difference(table, index.name, Verdict.STOPS, says)
    elif index.unique and not _is_expected(table, index):
        says = f"is not expected, {index}; it goes on refusing rows"
        yield Difference(table, index.name, Verdict.KEPT, says)
    elif not _is_expected(table, index):
        yield Difference(table, index.name, Verdict.KEPT, f"is not expected, {index}")


def _is_expected(table: str, index: Index) -> bool:
    if index.unique:
        return index.columns in [((column, None),) for column in ("id", UNIQUE.get(table)) if column]
    return index.columns == ((USEFUL.get(table), None),)
