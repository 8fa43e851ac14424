"""The way of an adoption: recognise, check, back up, begin; then finish."""

import asyncio

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from inventory_service.adoption import oddities, plan, prepare, sku_map, snapshot
from inventory_service.adoption.backup import back_up
from inventory_service.adoption.checks import checks
from inventory_service.adoption.document_checks import check_documents
from inventory_service.adoption.documents import conversion
from inventory_service.adoption.finish import finish, go_on
from inventory_service.adoption.programs import Programs, find_programs
from inventory_service.adoption.run import Run
from inventory_service.adoption.shape import Kind, Shape, recognise
from inventory_service.domain.legacy import SPLIT_TABLES
from servicekit.adoption.beginning import (
    alone,
    goes_on,
    programs_for,
    refuse_contradictions,
    refuse_differences,
    refuse_kinds,
    tell_differences,
    tell_found,
)
from servicekit.crash_points import crash_point
from servicekit.persistence.conflicts import may_run_again
from servicekit.reports.report_table import Line

TRIES = 30


async def adopt(run: Run) -> None:
    """Adopts the database, or finishes what an earlier run began; a dry run only tells.

    Raises AdoptionRefused, AdoptionUnfinished, BackupFailed, SkuMapInvalid.
    """
    async with alone(run), run.engine.connect() as connection:
        shape = await recognise(connection, run.request.time_zone)
        await connection.rollback()
        if shape.kind is Kind.BEGUN:
            await go_on(run, connection)
            return
        run.tell(f"this database {shape.kind.value}")
        _refuse_other_kinds(shape)
        tell_differences(run, shape)
        refuse_differences(shape, "these")
        programs = await programs_for(run, connection, find_programs)
        lines, revision = await _check(run, connection, shape)
        tell_found(run, lines)
        if goes_on(run, revision):
            await _begin(run, connection, shape, revision, programs)
            await finish(run, connection)


def _refuse_other_kinds(shape: Shape) -> None:
    refuse_kinds(
        shape,
        {
            Kind.OURS: "bring it up to date with: inventory-service migrate upgrade",
            Kind.EMPTY: "lay out the tables with: inventory-service migrate upgrade",
            Kind.FOREIGN: f"the schema inventory has the tables {', '.join(shape.tables) or 'none'};"
            " stock, with id and quantity, is not among them",
        },
    )


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
            shape.sources,
            conversion(run.schema),
            run.zone,
            run.findings,
            run.oddities,
            zone_is_told=run.request.time_zone is not None,
        )
        advance(1)
    refuse_contradictions(run)
    for rule in oddities.checks(shape, run.zone.key):
        await run.oddities.run(connection, rule)
    found = await connection.execute(text(snapshot.totals(shape.sources, run.zone.key)))
    totals = {row.name: row.value for row in found}
    lines = [line async for line in plan.lines(connection, shape, totals, documents, skus)]
    await connection.rollback()
    await connection.execution_options(isolation_level="READ COMMITTED", postgresql_readonly=False)
    return lines, revision


async def _revision_of(connection: AsyncConnection, shape: Shape) -> str:
    """0002 where Phase 2 is done and the split tables are empty; else it is run again, for what is missing."""
    if shape.kind is not Kind.AFTER or shape.missing:
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
