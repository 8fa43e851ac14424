"""The changes that revisions are made of. Each asks the database first, so that it can be run again after any stop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.util import load_python_file

statements: Any = load_python_file(Path(__file__).parent, "statements.py")

run_if = statements.run_if
stop_if = statements.stop_if
needs_more_than_sql = statements.needs_more_than_sql
_quoted = statements.quoted


@dataclass(frozen=True)
class Index:
    """An index by what makes it the one that is wanted. A column may carry a prefix: `order_ids(100)`."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False

    @property
    def shape(self) -> str:
        """As `_shape_of` finds it."""
        return f"{'UNIQUE ' if self.unique else ''}({', '.join(self.columns)})"


def require(table: str, *columns: str) -> None:
    """Stops unless the table is there with these columns."""
    stop_if(f"SELECT IF({_table(table)}, NULL, {_quoted(f'table {table} is missing')})")
    listed = " UNION ALL ".join(f"SELECT {_quoted(column)} AS wanted" for column in columns)
    if columns:
        stop_if(
            f"SELECT CONCAT('table {table} lacks ', GROUP_CONCAT(wanted SEPARATOR ', ')) FROM ({listed}) columns_"  # noqa: S608
            f" WHERE wanted NOT IN (SELECT LOWER(column_name) FROM {_columns(table)})"
        )


def create_table(table: str, definition: str) -> None:
    """Makes the table where it is missing."""
    statement = (
        f"CREATE TABLE {table} ({definition}) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
    )
    run_if(f"SELECT IF({_table(table)}, NULL, {_quoted(statement)})", f"table {table}")


def drop_table(table: str) -> None:
    """Drops the table where it is there."""
    run_if(f"SELECT IF({_table(table)}, {_quoted(f'DROP TABLE {table}')}, NULL)", f"table {table} dropped")


def add_columns(table: str, columns: Mapping[str, str]) -> None:
    """Adds what is missing, in one statement and an instant."""
    wanted = " UNION ALL ".join(
        f"SELECT {number} AS position, {_quoted(name)} AS name, {_quoted(f'ADD COLUMN {name} {kind}')} AS part"
        for number, (name, kind) in enumerate(columns.items())
    )
    run_if(
        f"SELECT CONCAT('ALTER TABLE {table} ', GROUP_CONCAT(part ORDER BY position SEPARATOR ', '),"  # noqa: S608
        f" ', ALGORITHM=INSTANT') FROM ({wanted}) columns_"
        f" WHERE name NOT IN (SELECT LOWER(column_name) FROM {_columns(table)})",
        f"columns {', '.join(columns)} of {table}",
    )


def drop_columns(table: str, names: Sequence[str]) -> None:
    """Drops those that are there; what they say is lost. The table is rebuilt beside its readers and writers."""
    run_if(
        f"SELECT CONCAT('ALTER TABLE {table} ', GROUP_CONCAT('DROP COLUMN ', column_name SEPARATOR ', '),"  # noqa: S608
        f" ', ALGORITHM=INPLACE, LOCK=NONE') FROM {_columns(table)} AND column_name IN ({_list(names)})",
        f"columns {', '.join(names)} of {table} dropped",
    )


def make_nullable(table: str, names: Sequence[str]) -> None:
    """Loosens columns that are NOT NULL; each keeps its type, signed or not, its default and its comment."""
    run_if(
        f"SELECT CONCAT('ALTER TABLE {table} ', GROUP_CONCAT('MODIFY COLUMN ', column_name, ' ', column_type,"  # noqa: S608
        f" ' NULL', {_DEFAULT}, {_COMMENT} SEPARATOR ', '), ', ALGORITHM=INPLACE, LOCK=NONE') FROM {_columns(table)}"
        f" AND column_name IN ({_list(names)}) AND is_nullable = 'NO'",
        f"columns {', '.join(names)} of {table} nullable",
    )


# MariaDB tells a default as SQL; MySQL as a value, unless it is an expression.
_DEFAULT = (
    "IF(column_default IS NULL, '', CONCAT(' DEFAULT ',"
    " /*M! column_default */"
    " /*!80000 IF(LOCATE('DEFAULT_GENERATED', extra), CONCAT('(', column_default, ')'), QUOTE(column_default)) */))"
)
_COMMENT = "IF(column_comment = '', '', CONCAT(' COMMENT ', QUOTE(column_comment)))"


def check_index(table: str, index: Index) -> None:
    """Stops where the name is taken by an index that is not the wanted one."""
    there = f"index {index.name} is there as "
    stop_if(
        f"SELECT CONCAT({_quoted(there)}, shape, {_quoted(f', wanted as {index.shape}')})"  # noqa: S608
        f" FROM ({_shape_of(table, index.name)}) found WHERE shape <> {_quoted(index.shape)}"
    )


def add_index(table: str, index: Index) -> None:
    """Builds the index where it is missing, beside readers and writers, and verifies it."""
    check_index(table, index)
    kind = "UNIQUE INDEX" if index.unique else "INDEX"
    statement = (
        f"ALTER TABLE {table} ADD {kind} {index.name} ({', '.join(index.columns)}),"
        " ALGORITHM=INPLACE, LOCK=NONE"
    )
    missing = f"FROM ({_shape_of(table, index.name)}) found WHERE shape IS NULL"
    run_if(f"SELECT {_quoted(statement)} {missing}", f"index {index.name} {index.shape}")
    stop_if(f"SELECT {_quoted(f'index {index.name} was added and is not there')} {missing}")


def add_index_unless_led(table: str, index: Index) -> None:
    """As `add_index`, but any index that begins with the same column will do."""
    statement = f"ALTER TABLE {table} ADD INDEX {index.name} ({', '.join(index.columns)}), ALGORITHM=INPLACE, LOCK=NONE"
    led = f"SELECT 1 FROM {_statistics(table)} AND seq_in_index = 1 AND column_name = {_quoted(index.columns[0])}"  # noqa: S608
    run_if(f"SELECT IF(EXISTS ({led}), NULL, {_quoted(statement)})", f"index {index.name} {index.shape}")


def drop_index(table: str, index: Index) -> None:
    """Drops the index where it is the one that the revision added."""
    statement = f"ALTER TABLE {table} DROP INDEX {index.name}, ALGORITHM=INPLACE, LOCK=NONE"
    run_if(
        f"SELECT {_quoted(statement)} FROM ({_shape_of(table, index.name)}) found"  # noqa: S608
        f" WHERE shape = {_quoted(index.shape)}",
        f"index {index.name} dropped",
    )


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(_quoted, names))


def _table(table: str) -> str:
    return (
        "EXISTS (SELECT 1 FROM information_schema.tables"  # noqa: S608
        f" WHERE table_schema = DATABASE() AND table_name = {_quoted(table)})"
    )


def _columns(table: str) -> str:
    return f"information_schema.columns WHERE table_schema = DATABASE() AND table_name = {_quoted(table)}"


def _statistics(table: str) -> str:
    return f"information_schema.statistics WHERE table_schema = DATABASE() AND table_name = {_quoted(table)}"


def _shape_of(table: str, name: str) -> str:
    """A query for one row: how the index of that name is made, NULL where there is none.

    Each engine reads one of the two comments, for each has its own word for an index that is not used.
    """
    return (
        "SELECT CONCAT(IF(MAX(non_unique) = 0, 'UNIQUE ', ''),"  # noqa: S608
        " IF(MAX(index_type) = 'BTREE', '', CONCAT(MAX(index_type), ' ')), '(',"
        " GROUP_CONCAT(CONCAT(COALESCE(column_name, 'an expression'),"
        " IF(sub_part IS NULL, '', CONCAT('(', sub_part, ')')),"
        " IF(collation = 'D', ' DESC', '')) ORDER BY seq_in_index SEPARATOR ', '), ')'"
        " /*M! , IF(MAX(ignored) = 'YES', ' ignored', '') */"
        " /*!80000 , IF(MAX(is_visible) = 'NO', ' invisible', '') */"
        f") AS shape FROM {_statistics(table)} AND index_name = {_quoted(name)}"
    )
