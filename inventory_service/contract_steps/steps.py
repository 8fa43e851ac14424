"""The steps in their order, and why one may not run yet."""

from collections.abc import Callable
from datetime import timedelta

from inventory_service.contract_steps.standing import CONSOLIDATION, Standing
from inventory_service.domain.legacy import SPLIT_TABLES
from servicekit.ops import ContractStep

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


def contract_steps(standing: Standing) -> list[ContractStep]:
    """All steps, oldest first, as they stand."""
    return [
        ContractStep(name, done(standing), "" if done(standing) else why_not(standing))
        for name, (done, why_not) in _STEPS.items()
    ]


def contract_step(standing: Standing, name: str) -> ContractStep:
    """One step as it stands."""
    return next(step for step in contract_steps(standing) if step.name == name)


def _split_tables_gone(standing: Standing) -> bool:
    return standing.applied >= CONSOLIDATION and not standing.split_tables


def _backups_gone(standing: Standing) -> bool:
    return _split_tables_gone(standing) and not standing.backups


def _triggers_off(standing: Standing) -> bool:
    return standing.applied == standing.expected and not standing.triggers


def _index_gone(index: str) -> Callable[[Standing], bool]:
    return lambda standing: standing.applied >= CONSOLIDATION and index not in standing.indexes


def _why_not_triggers(standing: Standing) -> str:
    return _not_at_head(standing) or _too_young(standing, SPLIT_TABLES_STAY)


def _why_not_split_tables(standing: Standing) -> str:
    missing = [table for table in SPLIT_TABLES if f"{table}_backup" not in standing.backups]
    if why_not := _not_at_head(standing):
        return why_not
    if missing:
        return f"{', '.join(missing)} have no backup: make it by `migrate contract renew-backups`"
    return _too_young(standing, SPLIT_TABLES_STAY)


def _why_not_backups(standing: Standing) -> str:
    if why_not := _not_at_head(standing):
        return why_not
    if standing.split_tables:
        return f"{DROP_SPLIT_TABLES} comes first"
    return _too_young(standing, BACKUPS_STAY)


def _not_at_head(standing: Standing) -> str:
    if standing.applied == standing.expected:
        return ""
    return f"the schema is at {standing.applied or 'nothing'}, this build expects {standing.expected}"


def _too_young(standing: Standing, wait: timedelta) -> str:
    if standing.since is None:
        return (
            f"nobody recorded when revision {CONSOLIDATION} was applied: run `migrate upgrade` once, and the"
            f" {wait.days} days count from then"
        )
    due = standing.since + wait
    if standing.now >= due:
        return ""
    return (
        f"the split tables were consolidated at {standing.since:%Y-%m-%d %H:%M} UTC, its {wait.days} days end at"
        f" {due:%Y-%m-%d %H:%M}"
    )


_Guard = tuple[Callable[[Standing], bool], Callable[[Standing], str]]
_STEPS: dict[str, _Guard] = {
    **{step: (_index_gone(index), _not_at_head) for step, index in INDEXES.items()},
    DISABLE_LEGACY_TRIGGERS: (_triggers_off, _why_not_triggers),
    DROP_SPLIT_TABLES: (_split_tables_gone, _why_not_split_tables),
    DROP_BACKUPS: (_backups_gone, _why_not_backups),
}
