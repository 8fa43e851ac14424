"""Who else is connected to the database."""

from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption.run import Run
from servicekit.adoption.run import AdoptionRefused


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
    """A line for each session in the database that is none of ours.

    An account without the privilege PROCESS sees those of its own name only.
    """
    ours = {guard, await own_id(connection)}
    database = (await connection.exec_driver_sql("SELECT DATABASE()")).scalar_one()
    rows = (await connection.exec_driver_sql("SHOW PROCESSLIST")).all()
    await connection.rollback()
    return [
        f"  {row.User}@{row.Host}, session {row.Id}, {row.Command}"
        for row in rows
        if row.Id not in ours and row.db == database
    ]


async def own_id(connection: AsyncConnection) -> int:
    """The number of a session, as the engine lists it."""
    return int((await connection.exec_driver_sql("SELECT CONNECTION_ID()")).scalar_one())
