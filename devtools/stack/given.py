"""A database that the environment names instead of a private one."""

import os
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from devtools.engines.home import Home


class GivenDatabaseMissing(Exception):
    """The environment names a socket that is not there; the message says which."""


def url(variable: str, own: Iterable[Home]) -> str | None:
    """Returns the URL in the variable; None where there is none, or one of our own servers'.

    Whoever sourced `.local/env` has the URLs of private servers in the environment, which must not turn into
    servers that nobody starts. Raises GivenDatabaseMissing.
    """
    given = os.environ.get(variable)
    socket = _socket(given) if given else None
    if socket is None:
        return given or None
    if socket.parent in {home.sockets.resolve() for home in own}:
        return None
    if not socket.exists():
        raise GivenDatabaseMissing(
            f"{variable} names the socket {socket}, which does not exist: start that server, or unset {variable}"
        )
    return given


def _socket(url: str) -> Path | None:
    """The unix socket of a URL; None for one over TCP, and for one that the service itself will refuse."""
    try:
        query = make_url(url).query
    except ArgumentError:
        return None
    host, path = query.get("host", ""), query.get("unix_socket", "")
    if isinstance(host, str) and host.startswith("/"):
        return Path(host) / f".s.PGSQL.{query.get('port', 5432)}"
    return Path(path) if isinstance(path, str) and path else None
