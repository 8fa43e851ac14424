"""`delivery-service migrate contract [STEP]`: lists the steps, or runs one of them or its way back."""

import argparse
import sys

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from delivery_service.contract_steps.runs import RUNS
from delivery_service.contract_steps.standing import read_standing
from delivery_service.contract_steps.steps import STEPS
from delivery_service.contract_steps.verification import COUNT_OF_PACKAGES
from servicekit.crash_points import crash_point
from servicekit.operations.contract_steps import CONTRACT, NotVerified
from servicekit.schema import schema_history
from servicekit.schema.migrate_command import Action
from servicekit.schema.migrations import Schema


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("step", nargs="?", choices=RUNS, help="what to run; without it the steps are listed")
    parser.add_argument(
        "--writers-wait", action="store_true", help="agree that whoever writes packages waits for the step"
    )


async def _run(arguments: argparse.Namespace, schema: Schema, engine: AsyncEngine) -> int:
    if arguments.step is None:
        await STEPS.tell(engine, schema)
        return 0
    run = RUNS[arguments.step]
    async with schema.locked(engine), engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await schema.refuse_if_hindered(connection)
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
        except NotVerified as reasons:
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


ACTION = Action(
    "contract",
    "list what may be removed once the old application is gone, or remove it by name",
    _add_arguments,
    _run,
)
