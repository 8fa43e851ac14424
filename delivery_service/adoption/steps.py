"""Work over many rows that is never done twice: each batch commits together with the place that it came to."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption.run import Run
from servicekit.crash_points import crash_point
from servicekit.persistence.conflicts import may_run_again

TRIES = 30

Batch = Callable[[AsyncConnection, int], Awaitable[tuple[int | None, int]]]


@dataclass(frozen=True)
class Step:
    """Work over the rows of a table by their ids; `name` is for ever, `says` is what is seen while it runs.

    `batch(connection, after)` works on the next rows whose id is above `after` (-1 at first) and answers the last
    id it came to, None where nothing is left, and how many rows that were. It does not commit.
    """

    name: str
    says: str
    table: str
    batch: Batch


_PLACE = text("SELECT after_key FROM adoption_step WHERE name = :name")
_ADVANCE = text("UPDATE adoption_step SET after_key = :after, done = :done WHERE name = :name")
_LOCK = text("SELECT after_key, done FROM adoption_step WHERE name = :name FOR UPDATE")
_FIRST = text("INSERT INTO adoption_step (name, after_key, done) VALUES (:name, -1, 0)")


async def run_step(run: Run, step: Step) -> None:
    """Runs a step to its end, from where it stands; each batch and the place it came to are one transaction."""
    with run.progress(step.says, await _rows_left(run, step)) as advance:
        while (rows := await _patiently(run, step)) is not None:
            advance(rows)


async def _patiently(run: Run, step: Step) -> int | None:
    for attempt in range(TRIES):
        try:
            return await _run_batch(run, step)
        except DBAPIError as error:
            if not may_run_again(error) or attempt == TRIES - 1:
                raise
            await asyncio.sleep(1)
    raise AssertionError("the last try raises")


async def _run_batch(run: Run, step: Step) -> int | None:
    """How many rows were done; None where none were left."""
    async with run.engine.begin() as connection:
        place = (await connection.execute(_LOCK, {"name": step.name})).first()
        if place is not None and place.done:
            return None
        if place is None:
            await connection.execute(_FIRST, {"name": step.name})
        after = -1 if place is None else int(place.after_key)
        last, rows = await step.batch(connection, after)
        now: dict[str, Any] = {"after": after if last is None else last, "done": last is None}
        await connection.execute(_ADVANCE, now | {"name": step.name})
        crash_point("adopt.in_batch")
    crash_point("adopt.after_batch")
    return None if last is None else rows


async def _rows_left(run: Run, step: Step) -> int:
    async with run.engine.connect() as connection:
        place = (await connection.execute(_PLACE, {"name": step.name})).first()
        after = -1 if place is None else int(place.after_key)
        left = f"SELECT COUNT(*) FROM {step.table} WHERE id > :after"
        return int((await connection.execute(text(left), {"after": after})).scalar_one())
