"""The steps as GetMigrationStatus tells them."""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from delivery_service.contract_steps.standing import read_standing
from delivery_service.contract_steps.steps import contract_steps
from servicekit.migrations import Schema
from servicekit.ops import ContractStep


def contract_step_report(
    engine: AsyncEngine, schema: Schema
) -> Callable[[], Awaitable[Sequence[ContractStep]]]:
    """Answers how each step stands, by its age and its order; only a run verifies."""

    async def report() -> Sequence[ContractStep]:
        async with engine.connect() as connection:
            return contract_steps(await connection.run_sync(read_standing, schema.expected))

    return report
