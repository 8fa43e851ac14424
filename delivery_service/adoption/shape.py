"""Which of the shapes that a delivery database can be in this one is."""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption.catalogue import Column, Tables, compare, tables_of
from delivery_service.adoption.expectations import PHASE_6, TABLES, TAKEN_COLUMNS, TAKEN_TABLES
from delivery_service.adoption.indexes import compare_indexes, indexes_of, is_phase_6
from delivery_service.adoption.journal import JOURNAL, RESTORE, ROWS, STEPS
from servicekit.adoption import shape
from servicekit.adoption.shape import TAKEN, Difference, Verdict
from servicekit.schema.migrations import VERSION_TABLE
from servicekit.schema.schema_history import HISTORY_TABLE

_RELATIONS = text(
    "SELECT CAST(table_name AS CHAR) AS name, CAST(table_type AS CHAR) AS kind, CAST(engine AS CHAR) AS engine,"
    " CAST(row_format AS CHAR) AS row_format FROM information_schema.tables WHERE table_schema = DATABASE()"
)
_TRIGGERS = text(
    "SELECT CAST(event_object_table AS CHAR) AS table_name, CAST(trigger_name AS CHAR) AS name"
    " FROM information_schema.triggers WHERE trigger_schema = DATABASE() ORDER BY 1, 2"
)
_UNFINISHED = text("SELECT finish_time IS NULL FROM adoption")
_RESTORING = text("SELECT backup FROM adoption_restore")
_VERSIONS = text("SELECT version_num FROM holdfast_schema_version")
_OWN = {JOURNAL, STEPS, ROWS, RESTORE, VERSION_TABLE, HISTORY_TABLE}


class Kind(Enum):
    """What a database is; the value is what its operator reads."""

    EMPTY = "has no tables yet"
    OURS = "is this service's already"
    BEGUN = "was being adopted when that was cut short"
    RESTORING = "was being put back from a backup when that was cut short"
    BEFORE = "is from before Phase 6"
    HALF_WAY = "is half-way through Phase 6"
    AFTER = "is from after Phase 6"
    FOREIGN = "is not a delivery database that this service knows"


class Shape(shape.Shape[Column]):
    """A delivery database as it was found; its last phase added indexes."""

    @property
    def further(self) -> list[str]:
        """The tables that are none of the legacy system's and stay as they are."""
        return [name for name in self.tables if name not in TABLES and name not in _OWN]


async def recognise(connection: AsyncConnection) -> Shape:
    """Looks at the catalogue, and at the records of what this service did here."""
    relations = {row.name: row for row in await connection.execute(_RELATIONS)}
    tables = await tables_of(connection)
    if RESTORE in relations and (await connection.execute(_RESTORING)).first():
        return Shape(Kind.RESTORING, tables)
    if _is_journal(tables) and (await connection.execute(_UNFINISHED)).scalar():
        return Shape(Kind.BEGUN, tables)
    if VERSION_TABLE in relations and (await connection.execute(_VERSIONS)).first():
        return Shape(Kind.OURS, tables)
    if not relations.keys() - _OWN:
        return Shape(Kind.EMPTY, tables)
    if not {"id", "order_ids"} <= set(tables.get("tigu_prepare_goods", ())):
        return Shape(Kind.FOREIGN, tables)
    indexes = await indexes_of(connection)
    there = [name for name in PHASE_6 if is_phase_6(name, indexes.get("tigu_prepare_goods", {}))]
    missing = [name for name in PHASE_6 if name not in there]
    differences = [
        *_missing_tables(tables, relations),
        *(found for name in TABLES if name in tables for found in compare(name, TABLES[name], tables[name])),
        *(found for name in TABLES if name in tables for found in _of_storage(name, relations[name])),
        *(
            found
            for name in TABLES
            if name in tables
            for found in compare_indexes(name, indexes.get(name, {}))
        ),
        *_taken(tables, relations),
        *[
            Difference(row.table_name, row.name, Verdict.KEPT, "is a trigger, which goes on firing")
            for row in await connection.execute(_TRIGGERS)
            if row.table_name in TABLES
        ],
    ]
    kind = Kind.AFTER if not missing else Kind.HALF_WAY if there else Kind.BEFORE
    return Shape(kind, tables, differences, there, missing)


def _is_journal(tables: Tables) -> bool:
    return {"begin_time", "finish_time", "dialect"} <= set(tables.get(JOURNAL, ()))


def _missing_tables(tables: Tables, relations: Iterable[str]) -> Iterator[Difference]:
    for name in TABLES:
        if name not in tables:
            says = "is a view, a table is expected" if name in relations else "is missing"
            yield Difference(name, "*", Verdict.STOPS, says)


def _of_storage(table: str, relation: Row[Any]) -> Iterator[Difference]:
    if relation.engine != "InnoDB":
        says = f"is kept by {relation.engine}, which has no transactions; ALTER it to ENGINE=InnoDB"
        yield Difference(table, "*", Verdict.STOPS, says)
    elif relation.row_format == "Compressed" and table in TAKEN_COLUMNS:
        says = "is compressed, and gets columns that cannot be added to it online; ALTER it to ROW_FORMAT=DYNAMIC"
        yield Difference(table, "*", Verdict.STOPS, says)


def _taken(tables: Tables, relations: Iterable[str]) -> Iterator[Difference]:
    for table, names in TAKEN_COLUMNS.items():
        for name in names:
            if name in tables.get(table, ()):
                yield Difference(table, name, Verdict.STOPS, TAKEN)
    # What was made before a beginning that never came is empty, and made again; so is the mark of a restore.
    own = {RESTORE, *((JOURNAL, STEPS, ROWS) if _is_journal(tables) else ())}
    for name in TAKEN_TABLES:
        if name in relations and name not in own:
            yield Difference(name, "*", Verdict.STOPS, TAKEN)
