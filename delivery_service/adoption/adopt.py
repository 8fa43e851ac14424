"""The way of an adoption: recognise, check, back up, begin; then finish."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption import conversion, journal, old_answers, plan, rows, totals
from delivery_service.adoption.backup import back_up
from delivery_service.adoption.catalogue import Verdict
from delivery_service.adoption.checks import check
from delivery_service.adoption.finish import finish, go_on
from delivery_service.adoption.programs import BackupFailed, Programs, find_programs
from delivery_service.adoption.run import AdoptionRefused, Run
from delivery_service.adoption.sessions import own_id, refuse_others
from delivery_service.adoption.shape import Kind, Shape, recognise
from servicekit.crash_points import crash_point
from servicekit.report_table import table_of

# Named locks belong to the whole server: adoptions of other databases are not kept out.
_NAME = "CONCAT('holdfast.delivery.adopt.', LEFT(SHA2(DATABASE(), 256), 32))"
_TAKE = f"SELECT GET_LOCK({_NAME}, 0)"
_GIVE = f"SELECT RELEASE_LOCK({_NAME})"


@dataclass(frozen=True)
class _Promise:
    """What the rows were found to be: the columns that stay, and what there must be at the end, by name."""

    kept: Mapping[str, Sequence[str]]
    totals: Mapping[str, str]


async def adopt(run: Run) -> None:
    """Adopts the database, or finishes what an earlier run began; a dry run only tells.

    Raises AdoptionRefused, AdoptionUnfinished, BackupFailed.
    """
    async with _alone(run) as guard, run.engine.connect() as connection:
        shape = await recognise(connection)
        await connection.rollback()
        if shape.kind is Kind.BEGUN:
            await go_on(run, connection, guard)
            return
        run.tell(f"this database {shape.kind.value}")
        await _refuse_other_kinds(connection, shape)
        _tell_differences(run, shape)
        programs = await _programs(run, connection)
        if conversion.converts(run.dialect, run.zone):
            await refuse_others(run, connection, guard)
        promise = await _check(run, connection, shape)
        run.tell(f"\nit is taken as revision {_revision_of(shape)} and upgraded to {run.schema.expected}")
        if run.request.dry_run:
            run.tell("dry run: nothing was changed")
            return
        await _begin(run, connection, guard, shape, promise, programs)
        await finish(run, connection)


@asynccontextmanager
async def _alone(run: Run) -> AsyncIterator[int]:
    """Keeps other adoptions of this database out; answers the number of the session that does."""
    async with run.engine.connect() as guard:
        await guard.execution_options(isolation_level="AUTOCOMMIT")
        if not (await guard.execute(text(_TAKE))).scalar():
            raise AdoptionRefused("another adoption of this database is running")
        try:
            yield await own_id(guard)
        finally:
            await guard.execute(text(_GIVE))
            run.findings.close()
            run.oddities.close()


async def _refuse_other_kinds(connection: AsyncConnection, shape: Shape) -> None:
    if shape.kind is Kind.OURS and journal.JOURNAL in shape.tables:
        await journal.tidy(connection)
    advice = {
        Kind.OURS: "bring it up to date with: delivery-service migrate upgrade",
        Kind.EMPTY: "lay out the tables with: delivery-service migrate upgrade",
        Kind.RESTORING: "finish that with: delivery-service migrate restore BACKUP --discard-data",
        Kind.FOREIGN: f"it has the tables {', '.join(shape.tables) or 'none'};"
        " tigu_prepare_goods, with id and order_ids, is not among them",
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
            run.tell(f"{found.table}.{found.subject} {found.says}: {found.verdict.value}")
    if shape.further:
        run.tell(f"further tables, left alone: {', '.join(shape.further)}")
    if stops := [f"{found.table}.{found.subject} {found.says}" for found in shape.stops]:
        raise AdoptionRefused("\n".join(["these cannot be adopted; nothing was changed:", *stops]))
    run.tell(f"its times are those of {run.zone.key}" + (", and become UTC" * (run.zone.key != "UTC")))


async def _programs(run: Run, connection: AsyncConnection) -> Programs | None:
    if run.request.without_backup:
        return None
    try:
        return await find_programs(connection, run.request.dump_program)
    except BackupFailed as error:
        if not run.request.dry_run:
            raise
        run.tell(f"there could be no backup: {error}")
        return None


async def _check(run: Run, connection: AsyncConnection, shape: Shape) -> _Promise:
    # One snapshot for every check, which cannot write.
    await connection.execution_options(isolation_level="REPEATABLE READ")
    await connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    survey = await check(run, connection, shape.tables)
    try:
        if run.findings.count:
            complaint = ["the data contradicts itself; nothing was changed:", *run.findings.lines()]
            raise AdoptionRefused("\n".join(complaint))
        lines = await plan.lines(run, connection, shape.tables, survey)
        run.tell(
            "\n"
            + table_of(["found", "", "becomes"], [[line.what, line.found, line.becomes] for line in lines])
        )
        if run.oddities.count:
            run.tell("\n".join(["", "strange, and taken over:", *run.oddities.lines()]))
        run.tell("\n".join(["", *await old_answers.wrong_answers(run, connection, shape.tables, survey)]))
        converted = conversion.converted_columns(shape.tables, run.dialect, run.zone)
        kept = rows.kept_columns(shape.tables, converted)
        promised = await totals.promised(connection, shape.tables, run.dialect, run.zone, survey)
        return _Promise(kept, {**await rows.totals(connection, kept), **promised})
    finally:
        survey.close()
        await connection.rollback()
        await connection.execution_options(isolation_level="READ COMMITTED")


def _revision_of(shape: Shape) -> str:
    return "0002" if shape.kind is Kind.AFTER else "0001"


async def _begin(
    run: Run,
    connection: AsyncConnection,
    guard: int,
    shape: Shape,
    promise: _Promise,
    programs: Programs | None,
) -> None:
    backup = None
    if programs is not None:
        backup = str(await back_up(programs, run.engine.url, run.request.folder, run.progress))
        run.tell(f"backup: {backup}")
    if conversion.converts(run.dialect, run.zone):
        await refuse_others(run, connection, guard)
    await journal.prepare(connection)
    crash_point("adopt.after_prepare")
    await rows.keep_rows(run, shape.tables, promise.kept)
    await journal.begin(
        connection,
        shape=shape.kind.value,
        revision=_revision_of(shape),
        dialect=run.dialect,
        time_zone=run.zone.key,
        backup=backup,
        kept=promise.kept,
        totals=promise.totals,
    )
    crash_point("adopt.before_begin")
    await connection.commit()
