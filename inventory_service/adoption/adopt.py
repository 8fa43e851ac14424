"""The way of an adoption: recognise, check, back up, begin; then finish."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.adoption import prepare, sku_map, snapshot
from inventory_service.adoption.backup import back_up
from inventory_service.adoption.catalogue import Verdict
from inventory_service.adoption.checks import checks
from inventory_service.adoption.document_checks import check_documents
from inventory_service.adoption.documents import conversion
from inventory_service.adoption.finish import finish, go_on
from inventory_service.adoption.oddities import oddities
from inventory_service.adoption.plan import plan
from inventory_service.adoption.programs import BackupFailed, Programs, find_programs
from inventory_service.adoption.run import AdoptionRefused, Run
from inventory_service.adoption.shape import Kind, Shape, recognise
from inventory_service.domain.legacy import SPLIT_TABLES
from servicekit.conflicts import may_run_again
from servicekit.crash_points import crash_point
from servicekit.report_table import Line, table_of

TRIES = 30
_TAKE = text("SELECT pg_try_advisory_lock(hashtext('holdfast.inventory.adopt'))")
_GIVE = text("SELECT pg_advisory_unlock(hashtext('holdfast.inventory.adopt'))")


async def adopt(run: Run) -> None:
    """Adopts the database, or finishes what an earlier run began; a dry run only tells.

    Raises AdoptionRefused, AdoptionUnfinished, BackupFailed, SkuMapInvalid.
    """
    async with _alone(run), run.engine.connect() as connection:
        shape = await recognise(connection, run.request.time_zone)
        await connection.rollback()
        if shape.kind is Kind.BEGUN:
            await go_on(run, connection)
            return
        run.tell(f"this database {shape.kind.value}")
        _refuse_other_kinds(shape)
        _tell_differences(run, shape)
        programs = await _programs(run, connection)
        lines, revision = await _check(run, connection, shape)
        table = table_of(["found", "", "becomes"], [[line.what, line.found, line.becomes] for line in lines])
        run.tell(f"\n{table}")
        if run.oddities.count:
            run.tell("\n".join(["\nstrange, and taken over:", *run.oddities.lines()]))
        run.tell(f"\nit is taken as revision {revision} and upgraded to {run.schema.expected}")
        if run.request.dry_run:
            run.tell("dry run: nothing was changed")
            return
        await _begin(run, connection, shape, revision, programs)
        await finish(run, connection)


@asynccontextmanager
async def _alone(run: Run) -> AsyncIterator[None]:
    async with run.engine.connect() as guard:
        await guard.execution_options(isolation_level="AUTOCOMMIT")
        if not (await guard.execute(_TAKE)).scalar():
            raise AdoptionRefused("another adoption of this database is running")
        try:
            yield
        finally:
            await guard.execute(_GIVE)
            run.findings.close()
            run.oddities.close()


def _refuse_other_kinds(shape: Shape) -> None:
    advice = {
        Kind.OURS: "bring it up to date with: inventory-service migrate upgrade",
        Kind.EMPTY: "lay out the tables with: inventory-service migrate upgrade",
        Kind.FOREIGN: f"the schema inventory has the tables {', '.join(shape.tables) or 'none'};"
        " stock, with id and quantity, is not among them",
    }
    if shape.kind in advice:
        raise AdoptionRefused(
            f"there is nothing to adopt: this database {shape.kind.value}; {advice[shape.kind]}"
        )


def _tell_differences(run: Run, shape: Shape) -> None:
    if shape.kind is Kind.HALF_WAY:
        run.tell(f"there already: {', '.join(shape.done)}\nmissing still: {', '.join(shape.missing)}")
    for found in shape.differences:
        if found.verdict is not Verdict.STOPS:
            stays = (
                " there, in no column of stock, until the contract steps drop it"
                if found.verdict is Verdict.KEPT and found.table in SPLIT_TABLES and found.is_further
                else ""
            )
            run.tell(f"{found.table}.{found.column} {found.says}: {found.verdict.value}{stays}")
    if stops := [f"{found.table}.{found.column} {found.says}" for found in shape.stops]:
        raise AdoptionRefused("\n".join(["these columns cannot be adopted; nothing was changed:", *stops]))


async def _programs(run: Run, connection: AsyncConnection) -> Programs | None:
    if run.request.without_backup:
        return None
    try:
        return await find_programs(connection, run.request.pg_dump)
    except BackupFailed as error:
        if not run.request.dry_run:
            raise
        run.tell(f"there could be no backup: {error}")
        return None
    finally:
        await connection.rollback()


async def _check(run: Run, connection: AsyncConnection, shape: Shape) -> tuple[list[Line], str]:
    """Answers what is found and what becomes of it, and the revision that the database is taken as."""
    skus = None
    if run.request.sku_map is not None:
        skus = await sku_map.load(connection, run.request.sku_map, run.findings)
        await connection.commit()
    # One snapshot for every check; it cannot write but into the table of the session.
    await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    revision = await _revision_of(connection, shape)
    rules = [*checks(shape, revision, run.zone.key), *(sku_map.checks() if skus is not None else ())]
    with run.progress("checking rows", len(rules) + 1) as advance:
        for rule in rules:
            await run.findings.run(connection, rule)
            advance(1)
        documents = await check_documents(
            connection,
            shape.tables,
            conversion(run.schema),
            run.zone,
            run.findings,
            run.oddities,
            zone_is_told=run.request.time_zone is not None,
        )
        advance(1)
    if run.findings.count:
        complaint = ["the data contradicts itself; nothing was changed:", *run.findings.lines()]
        raise AdoptionRefused("\n".join(complaint))
    for rule in oddities(shape.tables, run.zone.key):
        await run.oddities.run(connection, rule)
    found = await connection.execute(text(snapshot.totals(shape.tables, run.zone.key)))
    totals = {row.name: row.value for row in found}
    lines = [line async for line in plan(connection, shape.tables, totals, documents, skus)]
    await connection.rollback()
    await connection.execution_options(isolation_level="READ COMMITTED", postgresql_readonly=False)
    return lines, revision


async def _revision_of(connection: AsyncConnection, shape: Shape) -> str:
    """0002 where Phase 2 is done and nothing waits in the split tables; else it is begun again, which is harmless."""
    if shape.kind is not Kind.AFTER:
        return "0001"
    for table in SPLIT_TABLES:
        if table in shape.tables:
            any_row = f"SELECT 1 FROM inventory.{table} LIMIT 1"
            if (await connection.execute(text(any_row))).first():
                return "0001"
    return "0002"


async def _begin(
    run: Run, connection: AsyncConnection, shape: Shape, revision: str, programs: Programs | None
) -> None:
    backup = None
    if programs is not None:
        with run.progress("backing up", 1) as advance:
            backup = str(await back_up(programs, run.engine.url, run.request.folder))
            advance(1)
        run.tell(f"backup: {backup}")
    with_skus = run.request.sku_map is not None
    for attempt in range(TRIES):
        try:
            await prepare.begin(connection, shape, revision, run.zone.key, backup, with_skus=with_skus)
            crash_point("adopt.before_begin")
            await connection.commit()
            break
        except DBAPIError as error:
            await connection.rollback()
            if not may_run_again(error) or attempt == TRIES - 1:
                raise
            await asyncio.sleep(1)
