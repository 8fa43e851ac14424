"""Who else is connected to the database: while values are converted, nobody may write what they meant before."""

from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption.run import AdoptionRefused, Run


async def refuse_others(run: Run, connection: AsyncConnection, guard: int) -> None:
    """Raises AdoptionRefused while there are other sessions, unless the operator accepts them.

    `guard` is another session of ours. An account without PROCESS sees its own sessions only.
    """
    ours = {guard, await own_id(connection)}
    rows = await connection.exec_driver_sql("SHOW PROCESSLIST")
    database = str(run.engine.url.database)
    others = [
        f"  {row.User}@{row.Host}, session {row.Id}, {row.Command}"
        for row in rows
        if row.Id not in ours and row.db == database
    ]
    await connection.rollback()
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


async def own_id(connection: AsyncConnection) -> int:
    """The number of a session, as the engine lists it."""
    return int((await connection.exec_driver_sql("SELECT CONNECTION_ID()")).scalar_one())
