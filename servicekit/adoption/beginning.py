"""The first half of an adoption, which only reads: recognise, check, tell."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.adoption.backup import BackupFailed
from servicekit.adoption.run import AdoptionRefused, Run
from servicekit.adoption.shape import Shape, Verdict
from servicekit.persistence.named_locks import give_lock, take_lock
from servicekit.reports.report_table import Line, table_of

P = TypeVar("P")


@asynccontextmanager
async def alone(run: Run[Any]) -> AsyncIterator[AsyncConnection]:
    """Keeps other adoptions of this database out, by the session that it gives; lets go of the reports at the end.

    Raises AdoptionRefused.
    """
    name = f"holdfast.{run.schema.service}.adopt"
    async with run.engine.connect() as guard:
        await guard.execution_options(isolation_level="AUTOCOMMIT")
        if not await take_lock(guard, name):
            raise AdoptionRefused("another adoption of this database is running")
        try:
            yield guard
        finally:
            await give_lock(guard, name)
            run.findings.close()
            run.oddities.close()


def refuse_kinds(shape: Shape[Any], advice: Mapping[Enum, str]) -> None:
    """Raises AdoptionRefused with the advice for a kind of database that cannot be adopted."""
    if shape.kind in advice:
        raise AdoptionRefused(
            f"there is nothing to adopt: this database {shape.kind.value}; {advice[shape.kind]}"
        )


def tell_differences(run: Run[Any], shape: Shape[Any]) -> None:
    """Tells how far the old system's last phase came, and every difference that does not stop the adoption."""
    if shape.done and shape.missing:
        run.tell(f"there already: {', '.join(shape.done)}\nmissing still: {', '.join(shape.missing)}")
    for found in shape.differences:
        if found.verdict is not Verdict.STOPS:
            run.tell(f"{found}: {found.verdict.value}{found.becomes}")


def refuse_differences(shape: Shape[Any], those: str) -> None:
    """Raises AdoptionRefused with every difference that stops the adoption; `those` names what they are of."""
    if stops := [str(found) for found in shape.stops]:
        raise AdoptionRefused("\n".join([f"{those} cannot be adopted; nothing was changed:", *stops]))


async def programs_for(
    run: Run[Any],
    connection: AsyncConnection,
    find: Callable[[AsyncConnection, Path | None], Awaitable[P]],
) -> P | None:
    """The programs for the backup, None where there is to be none; a dry run only tells that they are missing.

    Raises BackupFailed.
    """
    if run.request.without_backup:
        return None
    try:
        return await find(connection, run.request.dump_program)
    except BackupFailed as error:
        if not run.request.dry_run:
            raise
        run.tell(f"there could be no backup: {error}")
        return None
    finally:
        await connection.rollback()


def refuse_contradictions(run: Run[Any]) -> None:
    """Raises AdoptionRefused with every row that breaks a rule."""
    if run.findings.count:
        complaint = ["the data contradicts itself; nothing was changed:", *run.findings.lines()]
        raise AdoptionRefused("\n".join(complaint))


def tell_found(run: Run[Any], lines: Iterable[Line]) -> None:
    """Tells what was found and what becomes of it, and all that is strange."""
    rows = [[line.what, line.found, line.becomes] for line in lines]
    run.tell("\n" + table_of(["found", "", "becomes"], rows))
    if run.oddities.count:
        run.tell("\n".join(["\nstrange, and taken over:", *run.oddities.lines()]))


def goes_on(run: Run[Any], revision: str) -> bool:
    """Tells as which revision the database is taken, and whether that is all because it is a dry run."""
    run.tell(f"\nit is taken as revision {revision} and upgraded to {run.schema.expected}")
    if run.request.dry_run:
        run.tell("dry run: nothing was changed")
    return not run.request.dry_run
