"""What an adoption of packages does from its beginning to its end."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption import conversion, history, journal, rows, totals
from delivery_service.adoption.catalogue import Tables, tables_of
from delivery_service.adoption.run import Run
from delivery_service.adoption.sessions import refuse_others
from delivery_service.adoption.steps import run_step
from servicekit.adoption import finish as adoption
from servicekit.crash_points import crash_point


async def go_on(run: Run, connection: AsyncConnection, guard: int) -> None:
    """Finishes what an earlier run began; `guard` is another session of ours. Raises as finish does."""
    entry = await journal.read(connection)
    adoption.tell_cut_short(run, entry)
    if conversion.converts(entry.dialect, entry.zone):
        await refuse_others(run, connection, guard)
    if adoption.is_finished_now(run):
        await finish(run, connection)


async def finish(run: Run, connection: AsyncConnection) -> None:
    """Converts and upgrades, compares the end with the beginning, and says so in the journal.

    Raises AdoptionUnfinished.
    """
    entry = await journal.read(connection)
    await adoption.finish(
        run, connection, entry, take_over=_take_over, verify=_verify, record=journal.record_end
    )
    crash_point("adopt.before_tidy")
    await journal.tidy(connection)


async def _take_over(run: Run, connection: AsyncConnection, entry: journal.Entry) -> None:
    for step in conversion.steps(await _tables(connection), entry.dialect, entry.zone):
        await run_step(run, step)
    crash_point("adopt.after_conversion")
    await adoption.upgrade_but_newest(run, entry.revision)
    crash_point("adopt.after_revisions")
    for step in history.steps(await _tables(connection), entry.dialect, entry.zone):
        await run_step(run, step)


async def _tables(connection: AsyncConnection) -> Tables:
    tables = await tables_of(connection)
    await connection.rollback()
    return tables


async def _verify(run: Run, connection: AsyncConnection, entry: journal.Entry) -> Mapping[str, str]:
    tables = await tables_of(connection)
    rules = list(rows.lost_or_changed(tables, entry.kept))
    with run.progress("verifying", len(rules)) as advance:
        for rule in rules:
            await run.findings.run(connection, rule)
            advance(1)
    return {**await rows.totals(connection, entry.kept), **await totals.found(connection)}
