"""The steps in their order, and why one may not run yet."""

from collections.abc import Callable
from datetime import timedelta

from inventory_service.contract_steps.standing import CONSOLIDATION, Standing, read_standing
from inventory_service.domain.legacy import SPLIT_TABLES
from servicekit.operations.contract_steps import Guard, Steps, not_at_head, still_waiting, unrecorded

DROP_SPLIT_TABLES = "drop-split-tables"
DROP_BACKUPS = "drop-backups"
DISABLE_LEGACY_TRIGGERS = "disable-legacy-triggers"

INDEXES = {
    "drop-idx-stock-reserved": "idx_stock_reserved",
    "drop-idx-stock-status-history": "idx_stock_status_history",
}
"""Step → the index of stock that it drops, for it costs writers more than it serves readers."""

SPLIT_TABLES_STAY = timedelta(days=14)
BACKUPS_STAY = timedelta(days=30)


def _split_tables_gone(standing: Standing) -> bool:
    return standing.applied >= CONSOLIDATION and not standing.split_tables


def _backups_gone(standing: Standing) -> bool:
    return _split_tables_gone(standing) and not standing.backups


def _triggers_off(standing: Standing) -> bool:
    return standing.applied == standing.expected and not standing.triggers


def _index_gone(index: str) -> Callable[[Standing], bool]:
    return lambda standing: standing.applied >= CONSOLIDATION and index not in standing.indexes


def _why_not_triggers(standing: Standing) -> str:
    return not_at_head(standing) or _too_young(standing, SPLIT_TABLES_STAY)


def _why_not_split_tables(standing: Standing) -> str:
    missing = [table for table in SPLIT_TABLES if f"{table}_backup" not in standing.backups]
    if why_not := not_at_head(standing):
        return why_not
    if missing:
        return f"{', '.join(missing)} have no backup: make it by `migrate contract renew-backups`"
    return _too_young(standing, SPLIT_TABLES_STAY)


def _why_not_backups(standing: Standing) -> str:
    if why_not := not_at_head(standing):
        return why_not
    if standing.split_tables:
        return f"{DROP_SPLIT_TABLES} comes first"
    return _too_young(standing, BACKUPS_STAY)


def _too_young(standing: Standing, wait: timedelta) -> str:
    if standing.since is None:
        return unrecorded(CONSOLIDATION, wait)
    done = "backed up anew" if standing.renewed else "consolidated"
    return still_waiting(standing, f"the split tables were {done} at", standing.since, wait)


STEPS = Steps(
    {
        **{step: Guard(_index_gone(index), not_at_head) for step, index in INDEXES.items()},
        DISABLE_LEGACY_TRIGGERS: Guard(_triggers_off, _why_not_triggers),
        DROP_SPLIT_TABLES: Guard(_split_tables_gone, _why_not_split_tables),
        DROP_BACKUPS: Guard(_backups_gone, _why_not_backups),
    },
    read_standing,
)
"""All steps, oldest first."""
