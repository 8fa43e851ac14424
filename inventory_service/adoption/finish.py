"""What an adoption of stocks does from its beginning to its end."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.adoption import journal, snapshot
from inventory_service.adoption.catalogue import tables_of
from inventory_service.adoption.documents import conversion, verify_documents
from inventory_service.adoption.run import Run
from inventory_service.adoption.shape import Kind, sources
from servicekit.adoption import finish as adoption


async def go_on(run: Run, connection: AsyncConnection) -> None:
    """Finishes what an earlier run began. Raises AdoptionUnfinished."""
    adoption.tell_cut_short(run, await journal.read(connection))
    if adoption.is_finished_now(run):
        await finish(run, connection)


async def finish(run: Run, connection: AsyncConnection) -> None:
    """Upgrades, compares the end with the beginning, and says so in the journal. Raises AdoptionUnfinished."""
    entry = await journal.read(connection)
    await adoption.finish(
        run, connection, entry, take_over=_take_over, verify=_verify, record=journal.record_end
    )


async def _take_over(run: Run, _connection: AsyncConnection, entry: journal.Entry) -> None:
    # 0001 itself is run: it makes the split tables that are missing, and leaves all that is there.
    await adoption.upgrade_but_newest(run, None if entry.revision == "0001" else entry.revision)


async def _verify(run: Run, connection: AsyncConnection, entry: journal.Entry) -> Mapping[str, str]:
    tables = sources(await tables_of(connection, "inventory"), Kind(entry.shape))
    with_skus = journal.SKUS.split(".")[1] in tables
    rules = list(snapshot.verification(tables, entry.kept, with_skus=with_skus))
    with run.progress("verifying", len(rules) + 1) as advance:
        for rule in rules:
            await run.findings.run(connection, rule)
            advance(1)
        await verify_documents(connection, tables, conversion(run.schema), entry.zone, run.findings)
        advance(1)
    return await snapshot.totals_now(connection)
