"""`inventory-service migrate contract [STEP]`: lists the steps, or runs one of them or its way back."""

import argparse
import sys

from sqlalchemy.ext.asyncio import AsyncEngine

from inventory_service.contract_steps.further_columns import values_that_stock_has_not
from inventory_service.contract_steps.runs import RUNS
from inventory_service.contract_steps.standing import read_standing
from inventory_service.contract_steps.steps import STEPS
from servicekit.crash_points import crash_point
from servicekit.operations.contract_steps import CONTRACT, NotVerified
from servicekit.schema import schema_history
from servicekit.schema.migrate_command import Action
from servicekit.schema.migrations import Schema

_LAST_COPY = "this is the last copy and there is no way back; have a dump, and repeat with --discard-data"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("step", nargs="?", choices=RUNS, help="what to run; without it the steps are listed")
    parser.add_argument(
        "--discard-data", action="store_true", help="agree that what the last backups hold is lost"
    )


async def _run(arguments: argparse.Namespace, schema: Schema, engine: AsyncEngine) -> int:
    if arguments.step is None:
        await STEPS.tell(engine, schema)
        return 0
    run = RUNS[arguments.step]
    async with schema.locked(engine), engine.begin() as connection:
        await schema.refuse_if_hindered(connection)
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
        except NotVerified as reasons:
            await connection.rollback()
            print(f"{arguments.step} refused, nothing was changed:\n{reasons}", file=sys.stderr)
            return 1
        await connection.run_sync(schema_history.serve_since, standing.applied)
        await connection.run_sync(schema_history.record, CONTRACT, arguments.step)
        crash_point("contract.before_commit")
    print(f"{arguments.step}: done; {run.done}" + (f"; gone with them: {lost}" if lost else ""))
    if run.afterwards is not None:
        async with engine.begin() as connection:
            for told in await run.afterwards(connection):
                print(f"a foreign key {told}")
    return 0


ACTION = Action(
    "contract", "list what may be removed after the consolidation, or remove it by name", _add_arguments, _run
)
