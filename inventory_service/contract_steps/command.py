"""`inventory-service migrate contract [STEP]`: lists the steps, or runs one of them or its way back."""

import argparse
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inventory_service.contract_steps import changes
from inventory_service.contract_steps.foreign_keys import missing_keys
from inventory_service.contract_steps.further_columns import values_that_stock_has_not
from inventory_service.contract_steps.standing import (
    CONTRACT,
    RENEW_BACKUPS,
    TRIGGERS_FOR_OTHER_WRITERS,
    Standing,
    read_standing,
)
from inventory_service.contract_steps.steps import (
    DISABLE_LEGACY_TRIGGERS,
    DROP_BACKUPS,
    DROP_SPLIT_TABLES,
    INDEXES,
    contract_step,
    contract_steps,
)
from inventory_service.domain.legacy import SPLIT_TABLES
from servicekit import schema_history
from servicekit.crash_points import crash_point
from servicekit.migrate_command import Action
from servicekit.migrations import Schema

RESTORE_SPLIT_TABLES = "restore-split-tables"
ENABLE_LEGACY_TRIGGERS = "enable-legacy-triggers"

_LAST_COPY = "this is the last copy and there is no way back; have a dump, and repeat with --discard-data"

Change = Callable[[AsyncConnection, Standing], Awaitable[None]]


@dataclass(frozen=True)
class _Run:
    """One thing that the command can do; `refusal` says why not now, `idle` that there is nothing to do."""

    change: Change
    done: str
    refusal: Callable[[Standing], str]
    idle: Callable[[Standing], bool]
    discards: bool = False
    afterwards: Callable[[AsyncConnection], Awaitable[list[str]]] | None = None
    """What comes in a transaction of its own, so that nobody waits for it; it answers what is to be told."""


def _why_not_restore(standing: Standing) -> str:
    return "" if standing.backups else "the backups were dropped: there is nothing to restore from"


def _why_not_renew(standing: Standing) -> str:
    return "" if standing.split_tables else "the split tables were dropped; their backups are the last copy"


def _why_not_enable(standing: Standing) -> str:
    return (
        ""
        if standing.applied == standing.expected
        else contract_step(standing, DISABLE_LEGACY_TRIGGERS).reason
    )


def _drop_index(step: str, has_back: str) -> _Run:
    return _Run(
        changes.drop_index(INDEXES[step]),
        f"to have it back: CREATE INDEX CONCURRENTLY {INDEXES[step]} ON inventory.stock {has_back}",
        lambda standing: contract_step(standing, step).reason,
        lambda standing: contract_step(standing, step).done,
    )


_INDEXED = {
    "drop-idx-stock-reserved": "(id, reserved_quantity) WHERE reserved_quantity > 0",
    "drop-idx-stock-status-history": "USING gin (status_history) WHERE status_history IS NOT NULL",
}
_RUNS = {
    **{step: _drop_index(step, indexed) for step, indexed in _INDEXED.items()},
    DISABLE_LEGACY_TRIGGERS: _Run(
        changes.disable_triggers,
        "only the service may write stock now; enable-legacy-triggers takes it back",
        lambda standing: contract_step(standing, DISABLE_LEGACY_TRIGGERS).reason,
        lambda standing: contract_step(standing, DISABLE_LEGACY_TRIGGERS).done,
    ),
    ENABLE_LEGACY_TRIGGERS: _Run(
        changes.enable_triggers,
        "what others write is followed again; CheckConsistency tells what they wrote meanwhile",
        _why_not_enable,
        lambda standing: len(standing.triggers) == len(TRIGGERS_FOR_OTHER_WRITERS),
    ),
    DROP_SPLIT_TABLES: _Run(
        changes.drop_split_tables,
        "the split tables are dropped; restore-split-tables brings them back as long as the backups are there",
        lambda standing: contract_step(standing, DROP_SPLIT_TABLES).reason,
        lambda standing: contract_step(standing, DROP_SPLIT_TABLES).done,
    ),
    DROP_BACKUPS: _Run(
        changes.drop_backups,
        "the backups are dropped; there is no way back to the split tables any more",
        lambda standing: contract_step(standing, DROP_BACKUPS).reason,
        lambda standing: contract_step(standing, DROP_BACKUPS).done,
        discards=True,
    ),
    RESTORE_SPLIT_TABLES: _Run(
        changes.restore_split_tables,
        "the split tables are back, as their backups were",
        _why_not_restore,
        lambda standing: len(standing.split_tables) == len(SPLIT_TABLES),
        afterwards=missing_keys,
    ),
    RENEW_BACKUPS: _Run(
        changes.renew_backups,
        "the split tables are backed up anew; the waiting time counts from now",
        _why_not_renew,
        lambda standing: False,
    ),
}


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("step", nargs="?", choices=_RUNS, help="what to run; without it the steps are listed")
    parser.add_argument(
        "--discard-data", action="store_true", help="agree that what the last backups hold is lost"
    )


async def _run(arguments: argparse.Namespace, schema: Schema, engine: AsyncEngine) -> int:
    if arguments.step is None:
        return await _list(schema, engine)
    run = _RUNS[arguments.step]
    async with schema.locked(engine), engine.begin() as connection:
        standing = await connection.run_sync(read_standing, schema.expected)
        if run.idle(standing):
            print(f"{arguments.step}: nothing to do")
            return 0
        refusal = run.refusal(standing)
        lost = ""
        if not refusal and run.discards:
            lost = ", ".join(await values_that_stock_has_not(connection, standing.backups))
            if not arguments.discard_data:
                refusal = _LAST_COPY + (f"; in no column of stock are {lost}" if lost else "")
        if refusal:
            print(f"{arguments.step} refused, nothing was changed: {refusal}", file=sys.stderr)
            return 1
        print(f"{arguments.step}: verifying", file=sys.stderr)
        try:
            await run.change(connection, standing)
        except changes.NotVerified as reasons:
            await connection.rollback()
            print(f"{arguments.step} refused, nothing was changed:\n{reasons}", file=sys.stderr)
            return 1
        await connection.run_sync(schema_history.record, CONTRACT, arguments.step)
        crash_point("contract.before_commit")
    print(f"{arguments.step}: done; {run.done}" + (f"; gone with them: {lost}" if lost else ""))
    if run.afterwards is not None:
        async with engine.begin() as connection:
            for told in await run.afterwards(connection):
                print(f"a foreign key {told}")
    return 0


async def _list(schema: Schema, engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        standing = await connection.run_sync(read_standing, schema.expected)
    for step in contract_steps(standing):
        state = "done" if step.done else "allowed" if step.allowed else "not yet"
        print(f"{step.name:30} {state:8} {step.reason}".rstrip())
    return 0


ACTION = Action(
    "contract", "list what may be removed after the consolidation, or remove it by name", _add_arguments, _run
)
