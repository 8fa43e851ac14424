"""The tables that are there, compared with those that are expected, column by column; MySQL and MariaDB alike."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.adoption.shape import MUST_BE_GIVEN, Difference, Verdict, holds_decimals, numbers_in

_COLUMNS = text("""
SELECT CAST(c.table_name AS CHAR) AS table_name, CAST(LOWER(c.column_name) AS CHAR) AS name,
    CAST(c.column_type AS CHAR) AS type, c.is_nullable = 'YES' AS nullable,
    CAST(c.column_default AS CHAR) AS default_value, CAST(c.extra AS CHAR) AS extra,
    CAST(c.collation_name AS CHAR) AS collation
FROM information_schema.columns c
JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
WHERE c.table_schema = DATABASE() AND t.table_type = 'BASE TABLE'
ORDER BY c.table_name, c.ordinal_position
""")

_WHOLE = re.compile(r"(tinyint|smallint|mediumint|int|bigint)\b")
_DISPLAY = re.compile(r"(?<=int)\(\d+\)| zerofill")
_SIZES = ("tinyint", "smallint", "mediumint", "int", "bigint")
_TEXTS = {"tinytext": 2**8, "text": 2**16, "mediumtext": 2**24, "longtext": 2**32}


@dataclass(frozen=True)
class Column:
    """A column that is there; `type` as the engine writes it, without display widths and character sets."""

    name: str
    type: str
    nullable: bool
    default: str | None
    extra: str = ""
    collation: str | None = None

    @property
    def is_zoneless(self) -> bool:
        """Whether it keeps times without saying of which zone they are."""
        return self.type.startswith("datetime")

    @property
    def is_computed(self) -> bool:
        """Whether the engine makes its values from those of other columns."""
        return self.extra.startswith(("virtual", "stored"))


class Written(Enum):
    """How this service writes a column, and so what the column must allow."""

    GIVEN = "with a value in every row"
    AS_NULL = "sometimes as NULL"
    LEFT_OUT = "never"


@dataclass(frozen=True)
class Expected:
    """A column that is expected; `nullable` says whether the old system may have left it NULL."""

    name: str
    type: str
    written: Written = Written.GIVEN
    nullable: bool = False


Tables = Mapping[str, Mapping[str, Column]]


async def tables_of(connection: AsyncConnection) -> Tables:
    """Every table of the database, with its columns in their order."""
    tables: dict[str, dict[str, Column]] = {}
    for row in await connection.execute(_COLUMNS):
        kind = _plain(row.type)
        column = Column(
            row.name, kind, bool(row.nullable), row.default_value, (row.extra or "").lower(), row.collation
        )
        tables.setdefault(row.table_name, {})[row.name] = column
    return tables


def compare(table: str, expected: Sequence[Expected], found: Mapping[str, Column]) -> list[Difference]:
    """Every difference in the columns of one table."""
    differences: list[Difference] = []
    for wanted in expected:
        column = found.get(wanted.name)
        if column is None:
            says = f"is missing, {wanted.type} is expected"
            differences.append(Difference(table, wanted.name, Verdict.STOPS, says))
            continue
        differences += [
            Difference(table, wanted.name, verdict, says)
            for verdict, says in (*_of_type(wanted, column), *_of_presence(wanted.written, column))
        ]
    known = {wanted.name for wanted in expected}
    for column in found.values():
        if column.name not in known:
            differences.append(_further(table, column))
    return differences


def _of_type(wanted: Expected, column: Column) -> Iterator[tuple[Verdict, str]]:
    if column.is_computed:
        yield Verdict.STOPS, "is computed by the engine; this service writes it"
    if not takes(column.type, wanted.type):
        yield Verdict.STOPS, f"is {column.type}, {wanted.type} is expected"
    elif column.type != wanted.type.removesuffix(" signed") and (column.type, wanted.type) != (
        "longtext",
        "json",
    ):
        yield Verdict.KEPT, f"is {column.type}, {wanted.type} is expected"
    collation = column.collation or "utf8mb4"
    if not collation.startswith("utf8"):
        yield (
            Verdict.STOPS,
            f"has the collation {collation}, which cannot keep every letter; convert to utf8mb4",
        )
    elif not collation.startswith("utf8mb4"):
        yield Verdict.KEPT, f"has the collation {collation}, in which some signs of four bytes are refused"


def _of_presence(written: Written, column: Column) -> Iterator[tuple[Verdict, str]]:
    if written is Written.AS_NULL and not column.nullable:
        yield (
            Verdict.STOPS,
            "is NOT NULL, and this service writes NULL where there is nothing; drop its NOT NULL",
        )
    if written is Written.LEFT_OUT and _must_be_given(column):
        yield Verdict.STOPS, MUST_BE_GIVEN


def _further(table: str, column: Column) -> Difference:
    if _must_be_given(column):
        return Difference(table, column.name, Verdict.STOPS, MUST_BE_GIVEN)
    return Difference(table, column.name, Verdict.KEPT, f"is not expected, {column.type}")


def _must_be_given(column: Column) -> bool:
    makes_its_own = column.is_computed or "auto_increment" in column.extra
    return not (column.nullable or column.default is not None or makes_its_own)


def takes(found: str, wanted: str) -> bool:
    """Whether a type takes every value of another, and gives it back as it was.

    Numbers may have a sign or none, but for one wanted "signed", which is less than nothing sometimes.
    """
    if whole := _WHOLE.match(wanted):
        own = _WHOLE.match(found)
        if own is None or (wanted.endswith(" signed") and found.endswith("unsigned")):
            return False
        return _SIZES.index(own[1]) >= _SIZES.index(whole[1])
    if wanted.startswith("varchar"):
        return (found.startswith("varchar") and numbers_in(found) >= numbers_in(wanted)) or (
            _TEXTS.get(found, 0) > 4 * numbers_in(wanted)[0]
        )
    if wanted.startswith("decimal"):
        if not found.startswith("decimal"):
            return False
        return holds_decimals(found, wanted)
    if wanted == "text":
        return _TEXTS.get(found, 0) >= _TEXTS["text"]
    if wanted == "json":
        return found in ("json", "longtext")
    return found.split("(")[0] in ("datetime", "timestamp")


def _plain(column_type: str) -> str:
    """Without what says only how a number is shown."""
    return _DISPLAY.sub("", column_type)
