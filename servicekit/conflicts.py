"""What a database error means, told by SQLSTATE or error number and never by the driver's classes."""

import re

from sqlalchemy.exc import DBAPIError

_RUN_AGAIN_SQLSTATES = {"40001", "40P01", "55P03"}
# Deadlock, lock wait, snapshot conflict (MariaDB), NOWAIT (MySQL).
_RUN_AGAIN_NUMBERS = {1213, 1205, 1020, 3572}
_STATEMENT_TIMEOUTS = {"57014", 1969, 3024, 1317}
_UNREACHABLE = {
    "57P01",
    "57P02",
    "57P03",
    "08000",
    "08001",
    "08003",
    "08004",
    "08006",
    2002,
    2003,
    2006,
    2013,
    1040,
    1053,
    1927,
}


def code(error: DBAPIError) -> str | int | None:
    """The SQLSTATE (Postgres) or the error number (MySQL, MariaDB) of a database error."""
    cause = error.orig
    sqlstate = getattr(cause, "sqlstate", None)
    if isinstance(sqlstate, str):
        return sqlstate
    args = getattr(cause, "args", ())
    return args[0] if args and isinstance(args[0], int) else None


def may_run_again(error: DBAPIError) -> bool:
    """Whether the whole transaction may simply be run again."""
    return code(error) in _RUN_AGAIN_SQLSTATES | _RUN_AGAIN_NUMBERS


def statement_timed_out(error: DBAPIError) -> bool:
    """Whether the engine ended the statement because it took too long."""
    return code(error) in _STATEMENT_TIMEOUTS


def connection_lost(error: DBAPIError) -> bool:
    """Whether the connection went away, so that what was not committed is gone."""
    return error.connection_invalidated or code(error) in _UNREACHABLE


def duplicate_key(error: DBAPIError) -> str | None:
    """The violated unique constraint's name, "" if the engine does not name it; None for any other error."""
    if code(error) == "23505":
        return _constraint_name(error)
    if code(error) == 1062:
        # MySQL says 'table.key', MariaDB says 'key'.
        found = re.search(r"for key '(?:[^'.]*\.)?([^']*)'", str(error.orig))
        return found[1] if found else ""
    return None


def violated_check(error: DBAPIError) -> str | None:
    """The violated CHECK's name, "" if the engine does not name it; None for any other error."""
    if code(error) == "23514":
        return _constraint_name(error)
    if code(error) in (3819, 4025):
        found = re.search(r"(?:constraint|CONSTRAINT) [`'](?:[^`'.]*[`.]+)*([^`']*)[`']", str(error.orig))
        return found[1] if found else ""
    return None


def _constraint_name(error: DBAPIError) -> str:
    found = re.search(r'constraint "([^"]+)"', str(error.orig))
    return found[1] if found else ""
