"""Statements that are asked of the database before they are run: at once, or when a rendered file runs.

What is asked, what stops and what is run are SQL in either case. A revision that is applied runs it at once; one that
is rendered (Alembic's `as_sql`) becomes plain SQL that the client of MySQL or MariaDB runs.
"""

import logging
from pathlib import Path
from typing import Any

from alembic import op
from alembic.util import CommandError, load_python_file

log = logging.getLogger("migrations.delivery")

online: Any = load_python_file(Path(__file__).parent, "online.py")

STOP = "holdfast_stop"
"""The procedure of a rendered file that ends it with a reason."""


class PreCheckFailed(Exception):
    """The database is not as this revision needs it; nothing was changed."""


class NoPlainSql(CommandError):
    """This revision does what plain SQL cannot, and why."""


def needs_more_than_sql(why: str) -> None:
    """Refuses to be rendered: half a revision would be worse than none. Raises NoPlainSql."""
    if _rendered():
        raise NoPlainSql(why)


def stop_if(reason: str) -> None:
    """Ends the revision where this query answers a reason. Raises PreCheckFailed."""
    if _rendered():
        _print(f"SET @reason = ({reason})")
        _print(
            f"SET @statement = IF(@reason IS NULL, 'DO 0', CONCAT('CALL {STOP}(', QUOTE(LEFT(@reason, 128)), ')'))"
        )
        _run_prepared()
    elif found := _answer(reason):
        raise PreCheckFailed(found)


def run_if(statement: str, what: str) -> None:
    """Runs the statement that this query answers, if it answers any; `what` is told either way."""
    if _rendered():
        _print(f"SET @statement = ({statement})")
        _print(
            f"SELECT CONCAT({quoted(what)}, IF(@statement IS NULL, ': nothing to do', ': online, now')) AS notice"
        )
        _print("SET @statement = COALESCE(@statement, 'DO 0')")
        _run_prepared()
        return
    found = _answer(statement)
    log.info("%s: %s", what, "online, now" if found else "nothing to do")
    if found:
        online.alter(op.get_bind(), found)
        log.info("%s: done", what)


def _rendered() -> bool:
    return bool(op.get_context().as_sql)


def _print(statement: str) -> None:
    op.get_context().impl.static_output(statement + ";")


def _run_prepared() -> None:
    _print("PREPARE step FROM @statement")
    _print("EXECUTE step")
    _print("DEALLOCATE PREPARE step")


def _answer(query: str) -> str | None:
    bind = op.get_bind()
    # What is put together from many columns outgrows the 1,024 characters of the engine's default.
    bind.exec_driver_sql("SET SESSION group_concat_max_len = 65536")
    found: str | bytes | None = bind.exec_driver_sql(query).scalar()
    return found.decode() if isinstance(found, bytes) else found


def quoted(text: str) -> str:
    """A literal of SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
