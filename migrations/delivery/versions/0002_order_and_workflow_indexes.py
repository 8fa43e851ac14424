"""Index packages by order and by workflow.

Why: both are looked up all the time, and each look reads the whole table without them. tigu_order is not
touched.
Previous release: it goes on, and is quicker.
Locks: none for readers and writers; each index is built online and takes the table's metadata for an instant.

Checked before (tables, columns, no index of that name with other columns) and verified after.
"""

import logging

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

log = logging.getLogger("migrations.delivery")

TABLE = "tigu_prepare_goods"
# Column and prefix length; no length is the whole column.
INDEXES: dict[str, list[tuple[str, int | None]]] = {
    "idx_order_ids": [("order_ids", 100)],
    "idx_delivery_shipping": [("delivery_type", None), ("shipping_type", None)],
}


class PreCheckFailed(Exception):
    """The database is not as this revision needs it; nothing was changed."""


def upgrade() -> None:
    """Adds what is missing, one statement an index."""
    _check_tables()
    for name, columns in INDEXES.items():
        if _found(name, columns):
            log.info("index %s is there already", name)
            continue
        listed = ", ".join(column if length is None else f"{column}({length})" for column, length in columns)
        log.info("adding index %s (%s), online", name, listed)
        op.execute(sa.text(f"ALTER TABLE {TABLE} ADD INDEX {name} ({listed}), ALGORITHM=INPLACE, LOCK=NONE"))
        if not _found(name, columns):
            raise PreCheckFailed(f"index {name} was added and is not there")
        log.info("index %s is verified", name)


def downgrade() -> None:
    """Drops the two indexes where they are."""
    for name, columns in INDEXES.items():
        if _found(name, columns):
            op.execute(sa.text(f"ALTER TABLE {TABLE} DROP INDEX {name}, ALGORITHM=INPLACE, LOCK=NONE"))
            log.info("index %s is dropped", name)


def _check_tables() -> None:
    inspector = sa.inspect(op.get_bind())
    for table in (TABLE, "tigu_order"):
        if not inspector.has_table(table):
            raise PreCheckFailed(f"table {table} is missing")
    columns = {column["name"] for column in inspector.get_columns(TABLE)}
    needed = {column for index in INDEXES.values() for column, _ in index}
    if missing := sorted(needed - columns):
        raise PreCheckFailed(f"table {TABLE} lacks {', '.join(missing)}")
    for name, wanted in INDEXES.items():
        _found(name, wanted)


def _found(name: str, wanted: list[tuple[str, int | None]]) -> bool:
    """Whether the index is there; raises where its name is taken by an index on other columns."""
    statement = sa.text(
        "SELECT column_name, sub_part FROM information_schema.statistics"
        " WHERE table_schema = DATABASE() AND table_name = :table AND index_name = :name ORDER BY seq_in_index"
    )
    rows = op.get_bind().execute(statement, {"table": TABLE, "name": name})
    found = [(column, None if length is None else int(length)) for column, length in rows]
    if found and found != wanted:
        raise PreCheckFailed(f"index {name} is there with other columns: {found}, wanted: {wanted}")
    return bool(found)
