"""The revisions of an adoption: all but the newest, which comes once all is verified."""

from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.migrations import Progress, Schema


async def upgrade_but_newest(
    engine: AsyncEngine, schema: Schema, taken_as: str | None, progress: Progress
) -> None:
    """Stamps a database without a revision as `taken_as`, if that is one, and applies what comes after it.

    Not the newest revision: a server that waits for it begins when it is there, and must not before all is verified.
    """
    if taken_as is not None and await schema.applied(engine) is None:
        await schema.stamp(engine, taken_as)
    last_but_one = schema.history()[-2].id
    if last_but_one in [step.id for step in schema.pending(await schema.applied(engine))]:
        await schema.upgrade(engine, last_but_one, progress)
