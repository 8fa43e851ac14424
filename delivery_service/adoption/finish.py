"""The second half of an adoption, which goes from the database alone: convert, upgrade, verify, finish.

The newest revision comes after the end, so that a server that waits for it does not begin before.
"""

from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption import conversion, history, journal, rows, totals
from delivery_service.adoption.catalogue import Tables, tables_of
from delivery_service.adoption.run import AdoptionUnfinished, Run
from delivery_service.adoption.sessions import refuse_others
from delivery_service.adoption.steps import run_step
from servicekit.adoption.upgrade import upgrade_but_newest
from servicekit.crash_points import crash_point
from servicekit.report_table import table_of


async def go_on(run: Run, connection: AsyncConnection, guard: int) -> None:
    """Finishes what an earlier run began; `guard` is another session of ours. Raises as finish does."""
    entry = await _entry(connection)
    run.tell(f"an adoption that began at {entry.begin_time:%Y-%m-%d %H:%M:%S} UTC was cut short")
    run.tell(f"its backup: {entry.backup or 'none'}")
    if conversion.converts(entry.dialect, entry.zone):
        await refuse_others(run, connection, guard)
    if run.request.dry_run:
        run.tell("dry run: it would be finished with what was asked for then; nothing was changed")
        return
    run.tell("it is finished now, with what was asked for then")
    await finish(run, connection)


async def finish(run: Run, connection: AsyncConnection) -> None:
    """Converts and upgrades, compares the end with the beginning, and says so in the journal.

    Raises AdoptionUnfinished.
    """
    entry = await _entry(connection)
    way_out = "mend what is named and run migrate adopt again"
    if entry.backup:
        way_out += f", or go back: delivery-service migrate restore {entry.backup} --discard-data"
    try:
        await _take_over(run, connection, entry)
    except Exception as error:
        reason = getattr(error, "orig", None) or error
        raise AdoptionUnfinished(f"the adoption is half done: {reason}\n{way_out}") from error
    crash_point("adopt.after_upgrade")
    await _verify(run, connection, entry)
    now = {**await rows.totals(connection, entry.kept), **await totals.found(connection)}
    await connection.rollback()
    differing = [name for name, before in entry.totals.items() if now.get(name, "none") != before]
    table = [
        [name, before, now.get(name, "none"), "differs" * (name in differing)]
        for name, before in entry.totals.items()
    ]
    run.tell("\n" + table_of(["verified", "before", "now", ""], table))
    if (run.findings.count or differing) and not run.request.accept_differences:
        says = "the end is not what the beginning promised; did somebody write meanwhile?"
        advice = f"{way_out}; or take it as it is with --accept-differences"
        raise AdoptionUnfinished("\n".join([says, *run.findings.lines(), advice]))
    await journal.finish(connection)
    crash_point("adopt.before_finish")
    await connection.commit()
    crash_point("adopt.after_finish")
    await run.schema.upgrade(run.engine, progress=run.progress)
    crash_point("adopt.before_tidy")
    await journal.tidy(connection)
    run.tell(f"adopted: the schema is at {run.schema.expected}")


async def _entry(connection: AsyncConnection) -> journal.Entry:
    entry = await journal.read(connection)
    await connection.rollback()
    return entry


async def _take_over(run: Run, connection: AsyncConnection, entry: journal.Entry) -> None:
    for step in conversion.steps(await _tables(connection), entry.dialect, entry.zone):
        await run_step(run, step)
    crash_point("adopt.after_conversion")
    await upgrade_but_newest(run.engine, run.schema, entry.revision, run.progress)
    crash_point("adopt.after_revisions")
    for step in history.steps(await _tables(connection), entry.dialect, entry.zone):
        await run_step(run, step)


async def _tables(connection: AsyncConnection) -> Tables:
    tables = await tables_of(connection)
    await connection.rollback()
    return tables


async def _verify(run: Run, connection: AsyncConnection, entry: journal.Entry) -> None:
    tables = await tables_of(connection)
    rules = list(rows.lost_or_changed(tables, entry.kept))
    with run.progress("verifying", len(rules)) as advance:
        for rule in rules:
            await run.findings.run(connection, rule)
            advance(1)
