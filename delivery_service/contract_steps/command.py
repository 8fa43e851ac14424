"""`delivery-service migrate contract [STEP]`: lists the steps, or runs one of them or its way back."""

import argparse
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from delivery_service.contract_steps import changes
from delivery_service.contract_steps.standing import (
    CONTRACT,
    DROP_ORDER_IDS,
    ENFORCE_STATUS,
    Standing,
    read_standing,
)
from delivery_service.contract_steps.steps import contract_step, contract_steps, not_at_head
from delivery_service.contract_steps.verification import COUNT_OF_PACKAGES
from servicekit import schema_history
from servicekit.crash_points import crash_point
from servicekit.migrate_command import Action
from servicekit.migrations import Schema

RELAX_STATUS = "relax-status"
RESTORE_ORDER_IDS = "restore-order-ids"


@dataclass(frozen=True)
class _Run:
    """One thing that the command can do; `refusal` says why not now, `idle` that there is nothing to do."""

    change: Callable[[AsyncConnection, Standing], Awaitable[None]]
    done: str
    refusal: Callable[[Standing], str]
    idle: Callable[[Standing], bool]
    holds_writers_up: bool = False


_RUNS = {
    ENFORCE_STATUS: _Run(
        changes.enforce_status,
        f"the schema refuses a package without a status; {RELAX_STATUS} takes it back",
        lambda standing: contract_step(standing, ENFORCE_STATUS).reason,
        lambda standing: contract_step(standing, ENFORCE_STATUS).done,
        holds_writers_up=True,
    ),
    RELAX_STATUS: _Run(
        changes.relax_status,
        "a package may have no status again, which is read as PENDING",
        not_at_head,
        lambda standing: not standing.enforced,
    ),
    DROP_ORDER_IDS: _Run(
        changes.drop_order_ids,
        f"order_ids is gone; {RESTORE_ORDER_IDS} makes it again from the orders' rows",
        lambda standing: contract_step(standing, DROP_ORDER_IDS).reason,
        lambda standing: contract_step(standing, DROP_ORDER_IDS).done,
    ),
    RESTORE_ORDER_IDS: _Run(
        changes.restore_order_ids,
        "order_ids lists the orders of each package again",
        not_at_head,
        lambda standing: standing.lists and standing.list_index,
    ),
}


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("step", nargs="?", choices=_RUNS, help="what to run; without it the steps are listed")
    parser.add_argument(
        "--writers-wait", action="store_true", help="agree that whoever writes packages waits for the step"
    )


async def _run(arguments: argparse.Namespace, schema: Schema, engine: AsyncEngine) -> int:
    if arguments.step is None:
        return await _list(schema, engine)
    run = _RUNS[arguments.step]
    async with schema.locked(engine), engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        standing = await connection.run_sync(read_standing, schema.expected)
        if run.idle(standing):
            print(f"{arguments.step}: nothing to do")
            return 0
        refusal = run.refusal(standing)
        if not refusal and run.holds_writers_up and not arguments.writers_wait:
            refusal = await _announcement(connection)
        if refusal:
            print(f"{arguments.step} refused, nothing was changed: {refusal}", file=sys.stderr)
            return 1
        print(f"{arguments.step}: verifying", file=sys.stderr)
        try:
            await run.change(connection, standing)
        except changes.NotVerified as reasons:
            print(f"{arguments.step} refused:\n{reasons}", file=sys.stderr)
            return 1
        crash_point("contract.before_record")
        await connection.run_sync(schema_history.record, CONTRACT, arguments.step)
    print(f"{arguments.step}: done; {run.done}")
    return 0


async def _announcement(connection: AsyncConnection) -> str:
    packages = (await connection.execute(COUNT_OF_PACKAGES)).scalar_one()
    return (
        f"it copies the table of {packages:,} packages, and whoever writes a package waits for that long, while"
        " readers go on; choose a quiet hour, and repeat with --writers-wait"
    )


async def _list(schema: Schema, engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        standing = await connection.run_sync(read_standing, schema.expected)
    for step in contract_steps(standing):
        state = "done" if step.done else "allowed" if step.allowed else "not yet"
        print(f"{step.name:30} {state:8} {step.reason}".rstrip())
    return 0


ACTION = Action(
    "contract",
    "list what may be removed once the old application is gone, or remove it by name",
    _add_arguments,
    _run,
)
