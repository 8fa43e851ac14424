"""The way of an adoption: recognise, check, back up, begin; then finish."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from delivery_service.adoption import conversion, journal, old_answers, plan, rows, totals
from delivery_service.adoption.backup import back_up
from delivery_service.adoption.checks import check
from delivery_service.adoption.finish import finish, go_on
from delivery_service.adoption.programs import Programs, find_programs
from delivery_service.adoption.run import Run
from delivery_service.adoption.sessions import own_id, refuse_others
from delivery_service.adoption.shape import Kind, Shape, recognise
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


@dataclass(frozen=True)
class _Promise:
    """What the rows were found to be: the columns that stay, and what there must be at the end, by name."""

    kept: Mapping[str, Sequence[str]]
    totals: Mapping[str, str]


async def adopt(run: Run) -> None:
    """Adopts the database, or finishes what an earlier run began; a dry run only tells.

    Raises AdoptionRefused, AdoptionUnfinished, BackupFailed.
    """
    async with alone(run) as guarding, run.engine.connect() as connection:
        guard = await own_id(guarding)
        shape = await recognise(connection)
        await connection.rollback()
        if shape.kind is Kind.BEGUN:
            await go_on(run, connection, guard)
            return
        run.tell(f"this database {shape.kind.value}")
        await _refuse_other_kinds(connection, shape)
        _tell_differences(run, shape)
        programs = await programs_for(run, connection, find_programs)
        if conversion.converts(run.dialect, run.zone):
            await refuse_others(run, connection, guard)
        promise = await _check(run, connection, shape)
        if goes_on(run, _revision_of(shape)):
            await _begin(run, connection, guard, shape, promise, programs)
            await finish(run, connection)


async def _refuse_other_kinds(connection: AsyncConnection, shape: Shape) -> None:
    if shape.kind is Kind.OURS and journal.JOURNAL in shape.tables:
        await journal.tidy(connection)
    refuse_kinds(
        shape,
        {
            Kind.OURS: "bring it up to date with: delivery-service migrate upgrade",
            Kind.EMPTY: "lay out the tables with: delivery-service migrate upgrade",
            Kind.RESTORING: "finish that with: delivery-service migrate restore BACKUP --discard-data",
            Kind.FOREIGN: f"it has the tables {', '.join(shape.tables) or 'none'};"
            " tigu_prepare_goods, with id and order_ids, is not among them",
        },
    )


def _tell_differences(run: Run, shape: Shape) -> None:
    tell_differences(run, shape)
    if shape.further:
        run.tell(f"further tables, left alone: {', '.join(shape.further)}")
    refuse_differences(shape, "these")
    run.tell(f"its times are those of {run.zone.key}" + (", and become UTC" * (run.zone.key != "UTC")))


async def _check(run: Run, connection: AsyncConnection, shape: Shape) -> _Promise:
    # One snapshot for every check, which cannot write.
    await connection.execution_options(isolation_level="REPEATABLE READ")
    await connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    survey = await check(run, connection, shape.tables)
    try:
        refuse_contradictions(run)
        tell_found(run, await plan.lines(run, connection, shape.tables, survey))
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
