"""The second half of an adoption, which goes from the database alone: upgrade, verify, finish.

The newest revision comes after the end, so that a server that waits for it does not begin before.
"""

from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.adoption import journal, snapshot
from inventory_service.adoption.catalogue import tables_of
from inventory_service.adoption.documents import conversion, verify_documents
from inventory_service.adoption.run import AdoptionUnfinished, Run
from servicekit.adoption.upgrade import upgrade_but_newest
from servicekit.crash_points import crash_point
from servicekit.report_table import table_of


async def go_on(run: Run, connection: AsyncConnection) -> None:
    """Finishes what an earlier run began. Raises AdoptionUnfinished."""
    entry = await _entry(connection)
    run.tell(f"an adoption that began at {entry.begin_time:%Y-%m-%d %H:%M:%S} UTC was cut short")
    run.tell(f"its backup: {entry.backup or 'none'}")
    if run.request.dry_run:
        run.tell("dry run: it would be finished with what was asked for then; nothing was changed")
        return
    run.tell("it is finished now, with what was asked for then")
    await finish(run, connection)


async def finish(run: Run, connection: AsyncConnection) -> None:
    """Upgrades, compares the end with the beginning, and says so in the journal. Raises AdoptionUnfinished."""
    entry = await _entry(connection)
    way_out = "mend what is named and run migrate adopt again"
    if entry.backup:
        way_out += f", or go back: inventory-service migrate restore {entry.backup} --discard-data"
    # 0001 itself is run: it makes the split tables that are missing, and leaves all that is there.
    taken_as = None if entry.revision == "0001" else entry.revision
    try:
        await upgrade_but_newest(run.engine, run.schema, taken_as, run.progress)
    except Exception as error:
        reason = getattr(error, "orig", None) or error
        raise AdoptionUnfinished(f"the adoption is half done: {reason}\n{way_out}") from error
    crash_point("adopt.after_upgrade")
    await _verify(run, connection, entry)
    now = await snapshot.totals_now(connection)
    await connection.rollback()
    differing = [name for name, before in entry.totals.items() if now[name] != before]
    rows = [
        [name, before, now[name], "differs" * (name in differing)] for name, before in entry.totals.items()
    ]
    run.tell("\n" + table_of(["verified", "before", "now", ""], rows))
    if (run.findings.count or differing) and not run.request.accept_differences:
        says = "the end is not what the beginning promised; did somebody write meanwhile?"
        advice = f"{way_out}; or take it as it is with --accept-differences"
        raise AdoptionUnfinished("\n".join([says, *run.findings.lines(), advice]))
    await journal.finish(connection)
    crash_point("adopt.before_finish")
    await connection.commit()
    crash_point("adopt.after_finish")
    await run.schema.upgrade(run.engine, progress=run.progress)
    run.tell(f"adopted: the schema is at {run.schema.expected}")


async def _entry(connection: AsyncConnection) -> journal.Entry:
    entry = await journal.read(connection)
    await connection.rollback()
    assert entry is not None
    return entry


async def _verify(run: Run, connection: AsyncConnection, entry: journal.Entry) -> None:
    tables = await tables_of(connection, "inventory")
    with_skus = journal.SKUS.split(".")[1] in tables
    rules = list(snapshot.verification(tables, entry.kept, with_skus=with_skus))
    with run.progress("verifying", len(rules) + 1) as advance:
        for rule in rules:
            await run.findings.run(connection, rule)
            advance(1)
        zone = ZoneInfo(entry.time_zone)
        await verify_documents(connection, tables, conversion(run.schema), zone, run.findings)
        advance(1)
