"""Which of the shapes that a stock database can be in this one is."""

from collections.abc import Sequence
from enum import Enum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.adoption.catalogue import Column, Mend, Tables, compare, tables_of
from inventory_service.adoption.dependents import in_the_way
from inventory_service.adoption.expectations import (
    INDEXES,
    PHASE_2_COLUMNS,
    REFRESH,
    TABLES,
    TAKEN_COLUMNS,
    TAKEN_FACTS,
    TAKEN_TABLES,
    VIEW,
    VIEW_COLUMNS,
)
from inventory_service.adoption.journal import JOURNAL
from inventory_service.domain.legacy import AFTER_PHASE_2, BACKUPS, SPLIT_TABLES
from servicekit.adoption import shape
from servicekit.adoption.shape import TAKEN, Difference, Verdict
from servicekit.schema.migrations import VERSION_TABLE

_HAS_TABLE = text("SELECT to_regclass(:name) IS NOT NULL")
_RELATIONS = text(
    "SELECT relname, relkind::text FROM pg_class WHERE relnamespace = to_regnamespace('inventory')"
    " AND relkind IN ('r', 'p', 'v', 'm', 'f')"
)
_INDEXES = text(
    "SELECT relname, indisvalid, split_part(pg_get_indexdef(indexrelid), ' inventory.', 2) AS target"
    " FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
    " WHERE relnamespace = to_regnamespace('inventory')"
)
_FUNCTION = text("SELECT to_regproc('inventory.' || :name) IS NOT NULL")
_VIEW_COLUMNS = text(
    "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('inventory.' || :name) AND attnum > 0"
    " AND NOT attisdropped ORDER BY attnum"
)
_KEY = text(
    "SELECT EXISTS (SELECT FROM pg_index WHERE indrelid = 'inventory.stock'::regclass AND indisunique"
    " AND indpred IS NULL AND indnatts = 1 AND indisvalid AND indkey[0] = (SELECT attnum FROM pg_attribute"
    " WHERE attrelid = 'inventory.stock'::regclass AND attname = 'id'))"
)
_STAYS = " there, in no column of stock, until the contract steps drop it"
_UNFINISHED = text("SELECT finish_time IS NULL FROM inventory.adoption")
_VERSIONS = text("SELECT version_num FROM holdfast_schema_version")


class Kind(Enum):
    """What a database is; the value is what its operator reads."""

    EMPTY = "has no stock yet"
    OURS = "is this service's already"
    BEGUN = "was being adopted when that was cut short"
    BEFORE = "is from before Phase 2"
    HALF_WAY = "is half-way through Phase 2"
    AFTER = AFTER_PHASE_2
    FOREIGN = "is not a stock database that this service knows"


class Shape(shape.Shape[Column]):
    """A database of stocks as it was found."""

    @property
    def mends(self) -> list[Mend]:
        """The differences that the adoption removes."""
        return [found for found in self.differences if isinstance(found, Mend)]

    @property
    def sources(self) -> Tables:
        """The tables whose values count; see `sources`."""
        return sources(self.tables, self.kind)


def sources(tables: Tables, kind: Enum) -> Tables:
    """The tables whose values count: after Phase 2 the stocks say all, and what split tables say is the past."""
    return {
        name: found for name, found in tables.items() if kind is not Kind.AFTER or name not in SPLIT_TABLES
    }


async def recognise(connection: AsyncConnection, zone: str | None) -> Shape:
    """Looks at the catalogue alone; `zone` is that of times without one, None if nobody said."""

    async def has(name: str) -> bool:
        return bool((await connection.execute(_HAS_TABLE, {"name": name})).scalar())

    tables = await tables_of(connection, "inventory")
    relations = {row.relname: row.relkind for row in await connection.execute(_RELATIONS)}
    if await has(JOURNAL) and await _unfinished(connection):
        return Shape(Kind.BEGUN, tables)
    if await has(VERSION_TABLE) and await _versions(connection):
        return Shape(Kind.OURS, tables)
    if not relations:
        return Shape(Kind.EMPTY, tables)
    if not {"id", "quantity"} <= set(tables.get("stock", ())):
        return Shape(Kind.FOREIGN, tables)
    differences = [
        difference
        for name, expected in TABLES.items()
        if name in tables
        for difference in compare(
            *(name, expected, tables[name], zone),
            written=name == "stock",
            further=_STAYS if name in SPLIT_TABLES else "",
        )
    ]
    differences += await in_the_way(connection, [found for found in differences if isinstance(found, Mend)])
    if not (await connection.execute(_KEY)).scalar():
        differences.append(Difference("stock", "id", Verdict.STOPS, "is no key: it has no unique index"))
    facts = [name for name in TAKEN_FACTS if await has(f"analytics.{name}")]
    differences += _taken(tables, facts)
    done, missing, wrong = await _phase_2(connection, tables, relations)
    # The view was made last, of the values that had been taken over.
    taken_over = {VIEW, *(column.name for column in PHASE_2_COLUMNS)} <= set(done)
    kind = Kind.AFTER if taken_over else Kind.HALF_WAY if done else Kind.BEFORE
    return Shape(kind, tables, (*differences, *wrong), done, missing)


async def _phase_2(
    connection: AsyncConnection, tables: Tables, relations: dict[str, str]
) -> tuple[list[str], list[str], list[Difference]]:
    there = {column.name: column.name in tables["stock"] for column in PHASE_2_COLUMNS}
    there[VIEW] = relations.get(VIEW) == "m"
    there[REFRESH] = bool((await connection.execute(_FUNCTION, {"name": REFRESH})).scalar())
    wrong = []
    found = {row.relname: row for row in await connection.execute(_INDEXES)}
    for name, target in INDEXES.items():
        there[name] = name in found and found[name].indisvalid
        if name in found and found[name].target != target:
            says = f"is an index ON {found[name].target}, expected is ON {target}; rename or drop it"
            wrong.append(Difference(found[name].target.split(" ")[0], name, Verdict.STOPS, says))
    columns = (await connection.execute(_VIEW_COLUMNS, {"name": VIEW})).scalars().all()
    if VIEW in relations and (not there[VIEW] or list(columns) != VIEW_COLUMNS):
        wrong.append(
            Difference(VIEW, "*", Verdict.STOPS, "is another view than Phase 2's; rename or drop it")
        )
    lacking = [column.name for column in PHASE_2_COLUMNS if not there[column.name]]
    if there[VIEW] and lacking:
        # Revision 0002 takes the view beside all columns for the end of Phase 2, and it would add them.
        says = f"is there, which Phase 2 makes last, and stock has no {', '.join(lacking)}; drop the view"
        wrong.append(Difference(VIEW, "*", Verdict.STOPS, says))
    done = [name for name, is_there in there.items() if is_there]
    missing = [name for name, is_there in there.items() if not is_there]
    return [*done, *(name for name in BACKUPS if name in tables)], missing, wrong


def _taken(tables: Tables, facts: Sequence[str]) -> list[Difference]:
    columns = [("stock", name) for name in TAKEN_COLUMNS if name in tables["stock"]]
    names = [*(name for name in TAKEN_TABLES if name in tables), *(f"analytics.{name}" for name in facts)]
    found = [*columns, *((name, "*") for name in names)]
    return [Difference(table, subject, Verdict.STOPS, TAKEN) for table, subject in found]


async def _unfinished(connection: AsyncConnection) -> bool:
    return bool((await connection.execute(_UNFINISHED)).scalar())


async def _versions(connection: AsyncConnection) -> bool:
    return (await connection.execute(_VERSIONS)).first() is not None
