"""What the database itself remembers of its adoption, so that one that was cut short can be finished.

MySQL and MariaDB commit at each change of a table. So the tables of the journal are made first and say nothing
while they are empty; the one row of `adoption`, written in one transaction, is the beginning. `adoption_step` then
says of each step how far it came, in the transaction of the rows themselves: no row is converted twice. Both stay.
`adoption_row` (a digest of each row as it was) is there while the adoption is under way.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption.run import Run
from servicekit.crash_points import crash_point

JOURNAL = "adoption"
STEPS = "adoption_step"
ROWS = "adoption_row"

Batch = Callable[[AsyncConnection, int], Awaitable[tuple[int | None, int]]]


@dataclass(frozen=True)
class Step:
    """Work over many rows in the order of one key; `name` is for ever, `says` is what is seen while it runs.

    `batch(connection, after)` works on the next rows whose key is above `after` (-1 at first) and answers the last
    key it came to, None where nothing is left, and how many rows that were. It does not commit.
    """

    name: str
    says: str
    total: int | None
    batch: Batch


@dataclass(frozen=True)
class Entry:
    """An adoption: what was found and asked for, and `totals`, what there must be at the end, by name."""

    begin_time: datetime
    shape: str
    revision: str
    dialect: str
    time_zone: str
    backup: str | None
    kept: Mapping[str, list[str]]
    totals: Mapping[str, str]
    finish_time: datetime | None


_ADVANCE = text("UPDATE adoption_step SET after_key = :after, done = :done WHERE name = :name")
_LOCK = text("SELECT after_key, done FROM adoption_step WHERE name = :name FOR UPDATE")
_FIRST = text("INSERT INTO adoption_step (name, after_key, done) VALUES (:name, -1, 0)")


async def run_step(run: Run, step: Step) -> None:
    """Runs a step to its end, from where it stands; each batch and the place it came to are one transaction."""
    with run.progress(step.says, step.total) as advance:
        while True:
            async with run.engine.begin() as connection:
                place = (await connection.execute(_LOCK, {"name": step.name})).first()
                if place is None:
                    await connection.execute(_FIRST, {"name": step.name})
                elif place.done:
                    return
                after = -1 if place is None else int(place.after_key)
                last, rows = await step.batch(connection, after)
                now: dict[str, Any] = {"after": after if last is None else last, "done": last is None}
                await connection.execute(_ADVANCE, now | {"name": step.name})
                crash_point("adopt.between_batches")
            advance(rows)
