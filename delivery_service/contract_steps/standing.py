"""Where a database stands between the old application and the last contract step."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, inspect, text

from servicekit.operations import contract_steps
from servicekit.operations.contract_steps import CONTRACT
from servicekit.schema import schema_history
from servicekit.schema.migrations import applied_revision

FOLLOWING = "0012"
"""The revision since which writes of the old application are seen."""

ENFORCE_STATUS = "enforce-status"
DROP_ORDER_IDS = "drop-order-ids"
RESTORE_ORDER_IDS = "restore-order-ids"
BEGUN = "contract begun"
"""The kind of entry in the schema's history that a step leaves which others must not take for done."""

PACKAGES = "tigu_prepare_goods"
STATUS_CHECK = "ck_prepare_goods_status"
LIST_INDEX = "idx_order_ids"


@dataclass(frozen=True, kw_only=True)
class Standing(contract_steps.Standing):
    """What the guards of the steps look at."""

    since: datetime | None
    """Since when writes of the old application are seen, None if nobody recorded it."""
    last_write: datetime | None
    """When one was followed last."""
    waiting: int
    """How many were not followed yet."""
    enforced: bool
    """Whether the schema itself refuses a status that is none."""
    enforced_since: datetime | None
    lists: bool
    """Whether `order_ids` is there."""
    list_index: bool
    restoring: bool
    """Whether making the lists again was begun, and cut short: rows not reached list nothing."""


def read_standing(connection: Connection, expected: str) -> Standing:
    """Reads it by the database's clock and catalogue."""
    applied = applied_revision(connection) or ""
    inspector = inspect(connection)
    there = inspector.has_table(PACKAGES)
    columns = {column["name"]: column for column in inspector.get_columns(PACKAGES)} if there else {}
    checks = {check["name"] for check in inspector.get_check_constraints(PACKAGES)} if there else set()
    indexes = {index["name"] for index in inspector.get_indexes(PACKAGES)} if there else set()
    last, waiting = _writes(connection) if applied >= FOLLOWING else (None, 0)
    now: datetime = connection.execute(text("SELECT UTC_TIMESTAMP(6)")).scalar_one()
    return Standing(
        now=now.replace(tzinfo=UTC),
        applied=applied,
        expected=expected,
        since=schema_history.applied_since(connection, FOLLOWING),
        last_write=last.replace(tzinfo=UTC) if last else None,
        waiting=waiting,
        enforced=STATUS_CHECK in checks and not columns["prepare_status"]["nullable"],
        enforced_since=schema_history.last_time(connection, CONTRACT, ENFORCE_STATUS),
        lists="order_ids" in columns,
        list_index=LIST_INDEX in indexes,
        # The index comes last.
        restoring="order_ids" in columns and LIST_INDEX not in indexes and _restore_is_open(connection),
    )


def _restore_is_open(connection: Connection) -> bool:
    begun = schema_history.last_time(connection, BEGUN, RESTORE_ORDER_IDS)
    done = schema_history.last_time(connection, CONTRACT, RESTORE_ORDER_IDS)
    return begun is not None and (done is None or done < begun)


def _writes(connection: Connection) -> tuple[datetime | None, int]:
    row = connection.execute(
        text(
            "SELECT (SELECT MAX(last_time) FROM legacy_write_day),"
            " (SELECT COUNT(*) FROM tigu_prepare_goods WHERE legacy_write_time IS NOT NULL)"
        )
    ).one()
    return row[0], int(row[1])
