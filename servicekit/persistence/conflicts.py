"""What a database error means, told by SQLSTATE or error number and never by the driver's classes."""

import re

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from servicekit.errors import ConcurrentUpdate, DatabaseUnavailable, DeadlineExceeded, KitRefusal

_RUN_AGAIN_SQLSTATES = {"40001", "40P01", "55P03"}
# Deadlock, lock wait, snapshot conflict (MariaDB), NOWAIT (MySQL), a table changed since the snapshot was taken.
_RUN_AGAIN_NUMBERS = {1213, 1205, 1020, 3572, 1412}
_LOCK_WAITS = {"55P03", 1205}
_STATEMENT_TIMEOUTS = {"57014", 1969, 3024, 1317}
_ACCESS_DENIED = {"42501", 1044, 1142, 1143, 1227}
# A standby, or a server that was made one while its sessions went on.
_READ_ONLY = {"25006", 1290, 1792, 1836}
_TURNED_AWAY = {
    **dict.fromkeys(("53300", 1040, 1203), "it has no room for another session"),
    **dict.fromkeys(("28000", "28P01", 1045, 1698), "it refuses the account or its password"),
    **dict.fromkeys(("3D000", 1049), "it has no such database"),
}
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
    1053,
    1927,
    *_TURNED_AWAY,
}


def code(error: DBAPIError) -> str | int | None:
    """The SQLSTATE (Postgres) or the error number (MySQL, MariaDB) of a database error."""
    cause = error.orig
    args = getattr(cause, "args", ())
    # The number first: MySQL's drivers give a SQLSTATE beside it, which says HY000 of almost everything.
    if args and isinstance(args[0], int):
        return args[0]
    sqlstate = getattr(cause, "sqlstate", None)
    return sqlstate if isinstance(sqlstate, str) else None


def turned_away(error: Exception) -> str:
    """Why a server that is there begins no session; "" of any other error. A driver's own words name the account."""
    return _TURNED_AWAY.get(code(error), "") if isinstance(error, DBAPIError) else ""


def may_run_again(error: DBAPIError) -> bool:
    """Whether the whole transaction may simply be run again."""
    return code(error) in _RUN_AGAIN_SQLSTATES | _RUN_AGAIN_NUMBERS


def lock_wait_ended(error: DBAPIError) -> bool:
    """Whether a row was locked by others for as long as a session waits."""
    return code(error) in _LOCK_WAITS


def waited_in_vain(error: Exception) -> bool:
    """Whether a refusal came of a wait for a lock that others did not let go of."""
    return isinstance(error.__cause__, DBAPIError) and lock_wait_ended(error.__cause__)


def statement_timed_out(error: DBAPIError) -> bool:
    """Whether the engine ended the statement because it took too long."""
    return code(error) in _STATEMENT_TIMEOUTS


def access_denied(error: DBAPIError) -> bool:
    """Whether the account may not do what was asked."""
    return code(error) in _ACCESS_DENIED


def takes_no_writes(error: DBAPIError) -> bool:
    """Whether the server at the other end only reads."""
    return code(error) in _READ_ONLY


def connection_lost(error: DBAPIError) -> bool:
    """Whether the connection went away, or could not be had, so that what was not committed is gone."""
    return error.connection_invalidated or code(error) in _UNREACHABLE


def refusal(error: Exception) -> KitRefusal | None:
    """What a caller is told of an error on the way to the database or in it; None of one that is a fault of ours."""
    if not isinstance(error, DBAPIError):
        return DatabaseUnavailable() if isinstance(error, (OSError, PoolTimeout)) else None
    if statement_timed_out(error):
        return DeadlineExceeded()
    if connection_lost(error):
        return DatabaseUnavailable()
    return ConcurrentUpdate() if may_run_again(error) else None


def duplicate_key(error: DBAPIError) -> str | None:
    """The violated unique constraint's name, "" if the engine does not name it; None for any other error."""
    if code(error) == "23505":
        return _constraint_name(error)
    if code(error) == 1062:
        # MySQL says 'table.key', MariaDB says 'key'. At the end, for the value itself may contain such words.
        found = re.search(r"for key '(?:[^']*\.)?([^'.]*)'$", _message(error))
        return found[1] if found else ""
    return None


def _message(error: DBAPIError) -> str:
    args = getattr(error.orig, "args", ())
    return str(args[-1]) if args else ""


def _constraint_name(error: DBAPIError) -> str:
    found = re.search(r'constraint "([^"]+)"', _message(error))
    return found[1] if found else ""
