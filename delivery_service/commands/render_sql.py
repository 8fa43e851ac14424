"""`delivery-service migrate sql [REVISION | --from … --to …]`: revisions as plain SQL, for the engine's own client."""

import argparse
import inspect
import sys
from collections.abc import Iterator

from alembic.util import CommandError
from sqlalchemy.ext.asyncio import AsyncEngine

from servicekit.schema.migrate_command import Action
from servicekit.schema.migrations import VERSION_TABLE, Schema, UnknownRevision
from servicekit.schema.schema_history import HISTORY_TABLE, SERVES_SINCE

LEGACY = "0001"
INDEXES = "0002"
"""May be run on a database that is adopted later: its version is recorded where there is a record only."""

_HEAD = """
-- Run it with the engine's own client, which ends at the first error:
--     mysql DATABASE < FILE        mariadb DATABASE < FILE
-- It may be run again, after an error or after none. "Lock wait timeout exceeded" means that somebody used a table
-- for longer than others should wait behind us: run it again.
-- It needs the rights to alter tables and to create, run and drop a procedure (holdfast_stop), which an error leaves
-- behind and the next run takes away.

SET SESSION group_concat_max_len = 65536;
SET SESSION lock_wait_timeout = 1;
DROP PROCEDURE IF EXISTS holdfast_stop;
CREATE PROCEDURE holdfast_stop(IN reason VARCHAR(128)) SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = reason;
SET @lock = CONCAT('holdfast.delivery.migrate.', LEFT(SHA2(DATABASE(), 256), 32));
SET @reason = IF(GET_LOCK(@lock, 10) = 1, NULL, 'another migration of this database is running');
{stop}
"""
_STOP = """
SET @statement = IF(@reason IS NULL, 'DO 0', CONCAT('CALL holdfast_stop(', QUOTE(LEFT(@reason, 128)), ')'));
PREPARE step FROM @statement;
EXECUTE step;
DEALLOCATE PREPARE step;
""".strip()
_APPLIED = f"""
SET @recorded = EXISTS (SELECT 1 FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_name = '{VERSION_TABLE}');
SET @applied = NULL;
SET @statement = IF(@recorded, 'SELECT MAX(version_num) INTO @applied FROM {VERSION_TABLE}', 'DO 0');
PREPARE step FROM @statement;
EXECUTE step;
DEALLOCATE PREPARE step;
"""  # noqa: S608
_TAIL = """
DO RELEASE_LOCK(@lock);
DROP PROCEDURE holdfast_stop;
"""


_LEGACY = "0001 is the legacy schema: `migrate upgrade` lays it out, `migrate adopt` recognises it"


class NotRendered(Exception):
    """A revision that plain SQL cannot express, and why."""


def plain_sql(schema: Schema, begin: str, end: str) -> Iterator[str]:
    """The way from `begin` to `end` as parts of one file; back, where `end` is the older one.

    Raises NotRendered, UnknownRevision.
    """
    known = [revision.id for revision in schema.history()]
    for asked in (begin, end):
        if asked not in known:
            raise UnknownRevision(asked)
    if begin == end:
        raise NotRendered(f"there is nothing between {begin} and {end}")
    low, high = sorted((known.index(begin), known.index(end)))
    back = known.index(end) < known.index(begin)
    steps = known[low + 1 : high + 1]
    parts = [_part(schema, revision, known, back) for revision in (reversed(steps) if back else steps)]
    yield f"-- holdfast delivery: from revision {begin} to {end}"
    yield _HEAD.format(stop=_STOP)
    yield from parts
    yield _TAIL


def _part(schema: Schema, revision: str, known: list[str], back: bool) -> str:
    if revision == LEGACY:
        raise NotRendered(_LEGACY)
    before = known[known.index(revision) - 1]
    try:
        body = schema.render(revision, back=back)
    except CommandError as error:
        raise NotRendered(f"{revision} has no plain SQL: {error}") from None
    title = f"-- {'Back from ' if back else ''}{revision}: "
    text = title + inspect.cleandoc(schema.documentation(revision)).replace("\n", "\n-- ")
    return "\n".join(
        [text, _APPLIED, _guard(revision, before, back), body, _record(schema, revision, before, back)]
    )


def _guard(revision: str, before: str, back: bool) -> str:
    from_here = revision if back else before
    unrecorded = "NULL" if revision == INDEXES else "'this database was never taken over: adopt it first'"
    # Further on than this part begins is where an earlier run of the file has come to.
    wrong = ">" if back else "<"
    return (
        f"SET @reason = IF(NOT @recorded, {unrecorded}, IF(NOT @applied {wrong} '{from_here}', NULL,"
        f" CONCAT('the schema is at ', COALESCE(@applied, 'nothing'), ', this goes on from {from_here}')));\n{_STOP}"
    )


def _record(schema: Schema, revision: str, before: str, back: bool) -> str:
    here, there = (revision, before) if back else (before, revision)
    entries = [("taken back" if back else "applied", revision)]
    if not back:
        entries.append((SERVES_SINCE, schema.serves_since(revision)))
    rows = ", ".join(f"(UTC_TIMESTAMP(6), ''{kind}'', ''{name}'')" for kind, name in entries)
    entry = f"INSERT INTO {HISTORY_TABLE} (record_time, kind, name) VALUES {rows}"  # noqa: S608
    version = f"UPDATE {VERSION_TABLE} SET version_num = ''{there}'' WHERE version_num = ''{here}''"  # noqa: S608
    side = "earlier" if back else "later"
    run = "PREPARE step FROM @statement;\nEXECUTE step;\nDEALLOCATE PREPARE step;"
    return (
        f"SET @due = COALESCE(@recorded AND @applied = '{here}', FALSE);\n"
        f"START TRANSACTION;\n"
        f"SET @statement = IF(@due, '{entry}', 'DO 0');\n{run}\n"
        f"SET @statement = IF(@due, '{version}', 'DO 0');\n{run}\n"
        f"COMMIT;\n"
        f"SELECT IF(@recorded, 'the schema is at {there} or {side}', 'not recorded, as nothing is: `migrate adopt`"
        f" will recognise what was done') AS notice;\n"
    )


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("revision", nargs="?", help="render this one; without it, say which can be rendered")
    parser.add_argument("--from", dest="begin", metavar="REVISION", help="go on from this revision")
    parser.add_argument("--to", dest="end", metavar="REVISION", help="up to this one, or back to it")


async def _run(arguments: argparse.Namespace, schema: Schema, engine: AsyncEngine) -> int:
    known = [revision.id for revision in schema.history()]
    begin, end, one = arguments.begin, arguments.end, arguments.revision
    if (one and (begin or end)) or bool(begin) != bool(end):
        print("say one REVISION, or both --from and --to", file=sys.stderr)
        return 2
    if not (one or end):
        for revision in schema.history():
            print(f"{revision.id}  {_why_not(schema, revision.id, known) or revision.description}")
        return 0
    if one and one not in known:
        raise UnknownRevision(one)
    try:
        if one == LEGACY:
            raise NotRendered(_LEGACY)
        parts = list(plain_sql(schema, begin or known[known.index(one) - 1], end or one))
    except NotRendered as error:
        print(f"nothing was rendered: {error}", file=sys.stderr)
        return 1
    print("\n".join(parts))
    return 0


def _why_not(schema: Schema, revision: str, known: list[str]) -> str:
    try:
        _part(schema, revision, known, back=False)
    except NotRendered as error:
        return f"no: {error}"
    return ""


SQL = Action("sql", "print revisions as plain SQL for the engine's own client", _add_arguments, _run)
