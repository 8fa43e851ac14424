"""What `migrate contract` can do, by name: the steps, and their ways back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.contract_steps import changes
from inventory_service.contract_steps.foreign_keys import missing_keys
from inventory_service.contract_steps.standing import RENEW_BACKUPS, TRIGGERS_FOR_OTHER_WRITERS, Standing
from inventory_service.contract_steps.steps import (
    DISABLE_LEGACY_TRIGGERS,
    DROP_BACKUPS,
    DROP_SPLIT_TABLES,
    INDEXES,
    STEPS,
)
from inventory_service.domain.legacy import SPLIT_TABLES
from servicekit.operations import contract_steps
from servicekit.operations.contract_steps import not_at_head

RESTORE_SPLIT_TABLES = "restore-split-tables"
ENABLE_LEGACY_TRIGGERS = "enable-legacy-triggers"

Change = Callable[[AsyncConnection, Standing], Awaitable[None]]


@dataclass(frozen=True)
class Run(contract_steps.Run[Standing]):
    """A run that may lose the last copy of something, and that may have something to do afterwards."""

    discards: bool = False
    afterwards: Callable[[AsyncConnection], Awaitable[list[str]]] | None = None
    """What comes in a transaction of its own, so that nobody waits for it; it answers what is to be told."""


def _why_not_restore(standing: Standing) -> str:
    return "" if standing.backups else "the backups were dropped: there is nothing to restore from"


def _why_not_renew(standing: Standing) -> str:
    return "" if standing.split_tables else "the split tables were dropped; their backups are the last copy"


def _step(name: str, change: Change, done: str, *, discards: bool = False) -> Run:
    """A step of the list, which says itself whether its time has come."""
    return Run(change, done, STEPS.refusal(name), STEPS.idle(name), discards)


_INDEXED = {
    "drop-idx-stock-reserved": "(id, reserved_quantity) WHERE reserved_quantity > 0",
    "drop-idx-stock-status-history": "USING gin (status_history) WHERE status_history IS NOT NULL",
}

RUNS = {
    **{
        name: _step(
            name,
            changes.drop_index(INDEXES[name]),
            f"to have it back: CREATE INDEX CONCURRENTLY {INDEXES[name]} ON inventory.stock {indexed}",
        )
        for name, indexed in _INDEXED.items()
    },
    DISABLE_LEGACY_TRIGGERS: _step(
        DISABLE_LEGACY_TRIGGERS,
        changes.disable_triggers,
        "only the service may write stock now; enable-legacy-triggers takes it back",
    ),
    ENABLE_LEGACY_TRIGGERS: Run(
        changes.enable_triggers,
        "what others write is followed again; CheckConsistency tells what they wrote meanwhile",
        not_at_head,
        lambda standing: len(standing.triggers) == len(TRIGGERS_FOR_OTHER_WRITERS),
    ),
    DROP_SPLIT_TABLES: _step(
        DROP_SPLIT_TABLES,
        changes.drop_split_tables,
        "the split tables are dropped; restore-split-tables brings them back as long as the backups are there",
    ),
    DROP_BACKUPS: _step(
        DROP_BACKUPS,
        changes.drop_backups,
        "the backups are dropped; there is no way back to the split tables any more",
        discards=True,
    ),
    RESTORE_SPLIT_TABLES: Run(
        changes.restore_split_tables,
        "the split tables are back, as their backups were",
        _why_not_restore,
        lambda standing: len(standing.split_tables) == len(SPLIT_TABLES),
        afterwards=missing_keys,
    ),
    RENEW_BACKUPS: Run(
        changes.renew_backups,
        "the split tables are backed up anew; the waiting time counts from now",
        _why_not_renew,
        lambda standing: False,
    ),
}
"""What the command takes: the steps, and their ways back."""
