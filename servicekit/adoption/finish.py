"""The second half of an adoption, which goes from the database alone: upgrade, verify, finish.

The newest revision comes after the end, so that a server that waits for it does not begin before.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from servicekit.adoption.run import AdoptionUnfinished, Run
from servicekit.crash_points import crash_point
from servicekit.reports.report_table import table_of


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An adoption as the database's own journal has it.

    `revision` is what the database was recognised as, `totals` what there must be at the end, by name.
    """

    begin_time: datetime
    shape: str
    revision: str
    backup: str | None
    totals: Mapping[str, str]


N = TypeVar("N", bound=Run[Any])
E = TypeVar("E", bound=Entry)


def tell_cut_short(run: Run[Any], entry: Entry) -> None:
    """Tells of the adoption that is to be finished."""
    run.tell(f"an adoption that began at {entry.begin_time:%Y-%m-%d %H:%M:%S} UTC was cut short")
    run.tell(f"its backup: {entry.backup or 'none'}")


def is_finished_now(run: Run[Any]) -> bool:
    """Tells whether it is; a dry run does not."""
    if run.request.dry_run:
        run.tell("dry run: it would be finished with what was asked for then; nothing was changed")
    else:
        run.tell("it is finished now, with what was asked for then")
    return not run.request.dry_run


async def finish(
    run: N,
    connection: AsyncConnection,
    entry: E,
    *,
    take_over: Callable[[N, AsyncConnection, E], Awaitable[None]],
    verify: Callable[[N, AsyncConnection, E], Awaitable[Mapping[str, str]]],
    record: Callable[[AsyncConnection], Awaitable[None]],
) -> None:
    """Takes over, compares the end with the beginning, and says so in the journal. Raises AdoptionUnfinished.

    `take_over` converts and upgrades to the last revision but one. `verify` notes what differs by row and answers
    what there is, by the names of the entry's totals. `record` writes the end into the journal, and commits nothing.
    """
    way_out = _way_out(run, entry)
    try:
        await take_over(run, connection, entry)
        crash_point("adopt.after_upgrade")
        now = await verify(run, connection, entry)
        await connection.rollback()
    except Exception as error:
        raise AdoptionUnfinished(f"the adoption is half done: {_reason(error)}\n{way_out}") from error
    _compare(run, entry.totals, now, way_out)
    await record(connection)
    crash_point("adopt.before_finish")
    await connection.commit()
    crash_point("adopt.after_finish")
    await _upgrade_to_newest(run)
    run.tell(f"adopted: the schema is at {run.schema.expected}")


async def upgrade_but_newest(run: Run[Any], taken_as: str | None) -> None:
    """Stamps a database without a revision as `taken_as`, if that is one, and applies what comes after it."""
    schema = run.schema
    if taken_as is not None and await schema.applied(run.engine) is None:
        await schema.stamp(run.engine, taken_as)
    last_but_one = schema.history()[-2].id
    if last_but_one in [step.id for step in schema.pending(await schema.applied(run.engine))]:
        await schema.upgrade(run.engine, last_but_one, run.progress)


async def _upgrade_to_newest(run: Run[Any]) -> None:
    try:
        await run.schema.upgrade(run.engine, progress=run.progress)
    except Exception as error:
        raise AdoptionUnfinished(
            f"all is taken over and verified, and only the newest revision is missing: {_reason(error)}\n"
            f"bring it with: {run.schema.service}-service migrate upgrade"
        ) from error


def _way_out(run: Run[Any], entry: Entry) -> str:
    again = "mend what is named and run migrate adopt again"
    if entry.backup is None:
        return again
    service = run.schema.service
    return f"{again}, or go back: {service}-service migrate restore {entry.backup} --discard-data"


def _compare(run: Run[Any], totals: Mapping[str, str], now: Mapping[str, str], way_out: str) -> None:
    differing = [name for name, before in totals.items() if now.get(name, "none") != before]
    rows = [
        [name, before, now.get(name, "none"), "differs" * (name in differing)]
        for name, before in totals.items()
    ]
    run.tell("\n" + table_of(["verified", "before", "now", ""], rows))
    if run.findings.count or differing:
        says = [
            "the end is not what the beginning promised; did somebody write meanwhile?",
            *run.findings.lines(),
        ]
        if not run.request.accept_differences:
            advice = f"{way_out}; or take it as it is with --accept-differences"
            raise AdoptionUnfinished("\n".join([*says, advice]))
        run.tell("\n".join([*says, "it is taken as it is, as --accept-differences says"]))


def _reason(error: Exception) -> object:
    return getattr(error, "orig", None) or error
