"""Where a database stands between the old schema and the last contract step."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.sql.functions import now

from inventory_service.domain.legacy import AFTER_PHASE_2, BACKUPS, SPLIT_TABLES
from servicekit.operations import contract_steps
from servicekit.operations.contract_steps import CONTRACT
from servicekit.schema import schema_history
from servicekit.schema.migrations import applied_revision

CONSOLIDATION = "0002"

TRIGGERS_FOR_OTHER_WRITERS = (
    "stock_sku_default",
    "stock_status_translated",
    "stock_holds_explained_insert",
    "stock_holds_explained_update",
    "stock_quantity_followed_insert",
    "stock_quantity_followed_update",
)
"""What keeps the books right while the old application writes; only enabled ones count."""

RENEW_BACKUPS = "renew-backups"

_SHAPE = text("SELECT shape FROM inventory.adoption")


@dataclass(frozen=True, kw_only=True)
class Standing(contract_steps.Standing):
    """What the guards of the steps look at."""

    since: datetime | None
    """When the split tables were last consolidated or backed up anew, None if nobody recorded it."""
    renewed: bool
    """Whether it was the latter."""
    split_tables: tuple[str, ...]
    """Those that are still there."""
    backups: tuple[str, ...]
    """Those that are still there."""
    outrun: bool
    """Whether the database was adopted after Phase 2: its stocks are right, and where these differ was told then."""
    indexes: frozenset[str]
    """All indexes of the table stock."""
    triggers: tuple[str, ...]
    """The triggers for other writers that are enabled."""


def read_standing(connection: Connection, expected: str) -> Standing:
    """Reads it by the database's clock and catalogue."""
    tables = set(inspect(connection).get_table_names(schema="inventory"))
    consolidated = schema_history.applied_since(connection, CONSOLIDATION)
    renewed = schema_history.last_time(connection, CONTRACT, RENEW_BACKUPS)
    since = max((time for time in (consolidated, renewed) if time is not None), default=None)
    indexes = inspect(connection).get_indexes("stock", schema="inventory") if "stock" in tables else []
    return Standing(
        now=connection.execute(select(now())).scalar_one(),
        applied=applied_revision(connection) or "",
        expected=expected,
        since=since,
        renewed=since is not None and since == renewed,
        split_tables=tuple(table for table in SPLIT_TABLES if table in tables),
        backups=tuple(table for table in BACKUPS if table in tables),
        outrun="adoption" in tables and connection.execute(_SHAPE).scalar() == AFTER_PHASE_2,
        indexes=frozenset(str(index["name"]) for index in indexes),
        triggers=tuple(name for name in TRIGGERS_FOR_OTHER_WRITERS if name in _enabled_triggers(connection)),
    )


def _enabled_triggers(connection: Connection) -> set[str]:
    query = text(
        "SELECT tgname::text FROM pg_trigger WHERE tgrelid = to_regclass('inventory.stock') AND tgenabled <> 'D'"
    )
    return set(connection.execute(query).scalars())
