"""The tables that are there, compared with those that are expected, column by column."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.adoption.shape import MUST_BE_GIVEN, Difference, Verdict, holds_decimals, numbers_in

_COLUMNS = text("""
SELECT c.relname AS table, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
    NOT a.attnotnull AS nullable, pg_get_expr(d.adbin, d.adrelid) AS default, t.typtype = 'e' AS is_enum
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
WHERE n.nspname = :schema AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
""")
_ZONELESS = re.compile(r"timestamp(\(\d\))? without time zone|date")


@dataclass(frozen=True)
class Column:
    """A column that is there."""

    name: str
    type: str
    nullable: bool
    default: str | None
    is_enum: bool = False

    @property
    def is_zoneless(self) -> bool:
        """Whether it keeps times without saying of which zone they are."""
        return _ZONELESS.fullmatch(self.type) is not None


@dataclass(frozen=True)
class Expected:
    """A column that is expected; one with a `default` is never NULL. The type "any" is every type."""

    name: str
    type: str
    default: str | None = None
    required: bool = True
    always_given: bool = False
    """Whether it may be NOT NULL without a default."""


@dataclass(frozen=True, kw_only=True)
class Mend(Difference):
    """A difference that the adoption removes, by an action of ALTER TABLE."""

    action: str

    @property
    def changes_type(self) -> bool:
        """Whether the engine writes the column anew."""
        return " TYPE " in self.action


Tables = Mapping[str, Mapping[str, Column]]


async def tables_of(connection: AsyncConnection, schema: str) -> Tables:
    """Every plain table of a schema, with its columns in their order."""
    tables: dict[str, dict[str, Column]] = {}
    for row in await connection.execute(_COLUMNS, {"schema": schema}):
        column = Column(row.name, row.type, row.nullable, row.default, row.is_enum)
        tables.setdefault(row.table, {})[row.name] = column
    return tables


def compare(
    table: str,
    expected: Sequence[Expected],
    found: Mapping[str, Column],
    zone: str | None,
    *,
    written: bool,
    further: str = "",
) -> list[Difference]:
    """Every difference of one table, which the service writes into or only reads.

    Times without a zone are those of `zone`; without it they stop. `further` says what becomes of a column that is
    not expected.
    """
    differences: list[Difference] = []
    for wanted in expected:
        column = found.get(wanted.name)
        if column is not None:
            differences += _of_type(table, wanted, column, zone, written)
            differences += _of_presence(table, wanted, column) if written else []
        elif wanted.required:
            says = f"is missing, {wanted.type} is expected"
            differences.append(Difference(table, wanted.name, Verdict.STOPS, says))
    known = {wanted.name for wanted in expected}
    for column in found.values():
        if column.name not in known:
            differences.append(_further(table, column, written, further))
    return differences


def _of_presence(table: str, wanted: Expected, column: Column) -> list[Difference]:
    differences: list[Difference] = []
    if wanted.default and column.default is None:
        says, mend = f"has no default, gets {wanted.default}", f"SET DEFAULT {wanted.default}"
        differences.append(_mend(table, column.name, says, mend))
    if wanted.default and column.nullable:
        says = "may be NULL, is made NOT NULL"
        differences.append(_mend(table, column.name, says, "SET NOT NULL"))
    if not (wanted.default or wanted.always_given or column.nullable or column.default):
        differences.append(Difference(table, column.name, Verdict.STOPS, MUST_BE_GIVEN))
    return differences


def _of_type(
    table: str, wanted: Expected, column: Column, zone: str | None, written: bool
) -> list[Difference]:
    if wanted.type in (column.type, "any"):
        return []
    says = f"is {column.type}, {wanted.type} is expected"
    if takes(column.type, wanted.type) or (not written and takes(wanted.type, column.type)):
        return [Difference(table, wanted.name, Verdict.KEPT, says)]
    using = None
    if column.is_zoneless and wanted.type == "timestamp with time zone":
        if zone is None:
            says += "; say with --time-zone of which zone its times are, such as UTC or Europe/Berlin"
        else:
            says, using = (
                f"{says}; its times are read as {zone}",
                f"{wanted.name}::timestamp AT TIME ZONE '{zone}'",
            )
    elif (column.type, wanted.type) == ("json", "jsonb"):
        using = f"{wanted.name}::jsonb"
    elif column.is_enum and wanted.type.startswith("character varying"):
        using = f"{wanted.name}::text"
    if using is None:
        return [Difference(table, wanted.name, Verdict.STOPS, says)]
    default = f", ALTER COLUMN {wanted.name} SET DEFAULT {wanted.default}" if wanted.default else ""
    mend = f"DROP DEFAULT, ALTER COLUMN {wanted.name} TYPE {wanted.type} USING {using}{default}"
    return [_mend(table, wanted.name, says, mend)]


def _mend(table: str, column: str, says: str, action: str) -> Mend:
    return Mend(table, column, Verdict.MENDED, says, action=action)


def _further(table: str, column: Column, written: bool, becomes: str) -> Difference:
    if written and not column.nullable and column.default is None:
        return Difference(table, column.name, Verdict.STOPS, MUST_BE_GIVEN)
    return Difference(table, column.name, Verdict.KEPT, f"is not expected, {column.type}", becomes)


def takes(found: str, wanted: str) -> bool:
    """Whether a type takes every value of another, and gives it back as it was."""
    if wanted in ("integer", "text"):
        return found == {"integer": "bigint", "text": "character varying"}[wanted]
    if wanted.startswith("timestamp") and found.startswith("timestamp"):
        return found.endswith("with time zone") and wanted.endswith("with time zone")
    if wanted.startswith("character varying"):
        return found in ("text", "character varying") or (
            found.startswith("character varying") and numbers_in(found) >= numbers_in(wanted)
        )
    if wanted.startswith("numeric"):
        if found == "numeric" or not found.startswith("numeric"):
            return found == "numeric"
        return holds_decimals(found, wanted)
    return False
