"""Who else is connected to the database."""

import asyncio
import time

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption.run import Run
from servicekit.adoption.run import AdoptionRefused

# Not what they are doing, as SHOW PROCESSLIST has it: a statement may have bytes that are no text, and no driver reads
# it then. Nor does MySQL answer from the second place then, while the first one is empty where it is switched off.
_IN_PERFORMANCE_SCHEMA = text("""
    SELECT ID AS number, USER AS user, HOST AS host, COMMAND AS command
    FROM performance_schema.processlist WHERE DB = DATABASE()
""")
_IN_INFORMATION_SCHEMA = text("""
    SELECT ID AS number, USER AS user, HOST AS host, COMMAND AS command
    FROM information_schema.PROCESSLIST WHERE DB = DATABASE()
""")
_SWITCHED_ON = text("SELECT @@performance_schema")
LEAVING_SECONDS = 1.0
"""A session is listed for a moment after its client has gone: that of our own dump, too."""


async def refuse_others(run: Run, connection: AsyncConnection, guard: int) -> None:
    """While values are converted, nobody may write what they meant before.

    Raises AdoptionRefused while there are other sessions, unless the operator accepts them. `guard` is another
    session of ours.
    """
    others = await others_in(connection, guard)
    if not others:
        return
    says = ["others are connected to this database, and its values are converted:", *others]
    if run.request.accept_sessions:
        run.tell("\n".join([*says, "none of them may write, as --accept-sessions says"]))
        return
    advice = (
        "stop the old application, or say --accept-sessions where none of them writes; nothing was changed"
    )
    if not run.request.dry_run:
        raise AdoptionRefused("\n".join([*says, advice]))
    run.tell("\n".join([*says, "stop the old application before the adoption"]))


async def others_in(connection: AsyncConnection, guard: int | None = None) -> list[str]:
    """A line for each session in the database that is none of ours, and does not leave within LEAVING_SECONDS.

    An account without the privilege PROCESS sees those of its own name only.
    """
    until = time.monotonic() + LEAVING_SECONDS
    while True:
        others = await _others_now(connection, guard)
        if not others or time.monotonic() > until:
            return others
        await asyncio.sleep(0.05)


async def _others_now(connection: AsyncConnection, guard: int | None) -> list[str]:
    ours = {guard, await own_id(connection)}
    mariadb = connection.dialect.is_mariadb  # type: ignore[attr-defined]
    switched_on = not mariadb and await connection.scalar(_SWITCHED_ON)
    rows = (await connection.execute(_IN_PERFORMANCE_SCHEMA if switched_on else _IN_INFORMATION_SCHEMA)).all()
    await connection.rollback()
    return [
        f"  {row.user}@{row.host}, session {row.number}, {row.command}"
        for row in rows
        if row.number not in ours
    ]


async def own_id(connection: AsyncConnection) -> int:
    """The number of a session, as the engine lists it."""
    return int((await connection.exec_driver_sql("SELECT CONNECTION_ID()")).scalar_one())
