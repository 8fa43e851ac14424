"""What each step does. The engines commit each change of a table at once: a step that was cut short is run again."""

from typing import Any

from alembic.util import load_python_file
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.contract_steps.standing import (
    BEGUN,
    LIST_INDEX,
    PACKAGES,
    RESTORE_ORDER_IDS,
    STATUS_CHECK,
    Standing,
)
from delivery_service.contract_steps.verification import (
    COUNT_OF_PACKAGES,
    differences_from_lists,
    unknown_statuses,
)
from servicekit.crash_points import crash_point
from servicekit.operations.contract_steps import NotVerified
from servicekit.reports.progress import progress
from servicekit.schema import schema_history
from servicekit.schema.migrations import Schema

_online: Any = load_python_file(Schema("delivery").location, "online.py")

_PENDING = text(
    "UPDATE tigu_prepare_goods SET prepare_status = -1, legacy_write_time = legacy_write_time,"
    " update_time = update_time WHERE prepare_status IS NULL LIMIT 1000"
)
_COMMENT = text(
    "SELECT IF(column_comment = '', '', CONCAT(' COMMENT ', QUOTE(column_comment))) FROM information_schema.columns"
    " WHERE table_schema = DATABASE() AND table_name = 'tigu_prepare_goods' AND column_name = 'prepare_status'"
)
_MARKED = text("SELECT COUNT(*) FROM tigu_prepare_goods WHERE legacy_write_time IS NOT NULL")
_PAGE = text("SELECT id FROM tigu_prepare_goods WHERE id > :after ORDER BY id LIMIT 1000")
# Rows that a new build of the list has not reached bear an empty one.
_LISTED = text(
    "UPDATE tigu_prepare_goods package SET legacy_write_time = legacy_write_time, update_time = update_time,"
    " order_ids = COALESCE(("
    "SELECT GROUP_CONCAT(order_id ORDER BY order_id SEPARATOR ',') FROM tigu_prepare_goods_order"
    " WHERE prepare_goods_id = package.id), '')"
    " WHERE id > :after AND id <= :last AND order_ids = ''"
)


async def _stop_older_builds(connection: AsyncConnection, standing: Standing) -> None:
    # Before the first change: what follows is in no transaction.
    await connection.run_sync(schema_history.serve_since, standing.applied)


async def enforce_status(connection: AsyncConnection, standing: Standing) -> None:
    """Writes -1 for NULL, a batch a transaction, then lets the schema refuse what is no status. Raises NotVerified.

    The last change copies the table, and writers of packages wait for that long.
    """
    if complaints := await unknown_statuses(connection):
        raise NotVerified(complaints)
    await _stop_older_builds(connection, standing)
    with progress("packages without a status", None) as advance:
        while done := (await connection.execute(_PENDING)).rowcount:
            advance(done)
    crash_point("contract.after_statuses")
    if not standing.enforced:
        comment = (await connection.execute(_COMMENT)).scalar_one()
        await _alter(
            connection,
            f"MODIFY COLUMN prepare_status INT NOT NULL DEFAULT -1{comment},"
            f" ADD CONSTRAINT {STATUS_CHECK} CHECK (prepare_status BETWEEN -1 AND 7),"
            " ALGORITHM=COPY, LOCK=SHARED",
        )


async def relax_status(connection: AsyncConnection, standing: Standing) -> None:
    """Lets packages have no status again, beside readers and writers."""
    await _stop_older_builds(connection, standing)
    comment = (await connection.execute(_COMMENT)).scalar_one()
    await _alter(
        connection,
        f"DROP CONSTRAINT {STATUS_CHECK}, MODIFY COLUMN prepare_status INT NULL{comment},"
        " ALGORITHM=INPLACE, LOCK=NONE",
    )


async def drop_order_ids(connection: AsyncConnection, standing: Standing) -> None:
    """Drops the lists and their index, once every list says what the rows say. Raises NotVerified."""
    if complaints := await differences_from_lists(connection):
        raise NotVerified(complaints)
    await _stop_older_builds(connection, standing)
    if standing.list_index:
        await _alter(connection, f"DROP INDEX {LIST_INDEX}, ALGORITHM=INPLACE, LOCK=NONE")
    crash_point("contract.after_index")
    # What another application wrote since the lists were read would be lost: nobody writes from here on.
    await connection.run_sync(_online.alter, f"LOCK TABLES {PACKAGES} WRITE")
    try:
        if marked := (await connection.execute(_MARKED)).scalar():
            raise NotVerified([f"another application than the service wrote {marked} packages meanwhile"])
        await _alter(connection, "DROP COLUMN order_ids, ALGORITHM=INSTANT")
    finally:
        await connection.execute(text("UNLOCK TABLES"))


async def restore_order_ids(connection: AsyncConnection, standing: Standing) -> None:
    """Makes the lists again from the rows; from the column's return on the service writes both."""
    await _stop_older_builds(connection, standing)
    if not standing.lists:
        await connection.run_sync(schema_history.record, BEGUN, RESTORE_ORDER_IDS)
        await _alter(connection, "ADD COLUMN order_ids TEXT NOT NULL AFTER prepare_sn, ALGORITHM=INSTANT")
    crash_point("contract.after_column")
    await connection.execute(text("SET SESSION group_concat_max_len = 4294967295"))
    total = (await connection.execute(COUNT_OF_PACKAGES)).scalar_one()
    after = 0
    with progress("lists of orders", total) as advance:
        while ids := (await connection.execute(_PAGE, {"after": after})).scalars().all():
            await connection.execute(_LISTED, {"after": after, "last": ids[-1]})
            advance(len(ids))
            after = ids[-1]
    await _alter(connection, f"ADD INDEX {LIST_INDEX} (order_ids(100)), ALGORITHM=INPLACE, LOCK=NONE")


async def _alter(connection: AsyncConnection, change: str) -> None:
    await connection.run_sync(_online.alter, f"ALTER TABLE {PACKAGES} {change}")
