"""Commands for operators to paste: the database's own programs, told the place that the service uses, no password.

psql asks for a password by itself, or reads it where libpq does; mysql asks for it by -p.
"""

import re
import shlex

from sqlalchemy.engine import URL


def ask(url: URL) -> str:
    """Whether the server is there; any account may ask, so none is named."""
    return f"pg_isready {_place(url)}" if _is_postgres(url) else f"mysqladmin {_place(url)} ping"


def run(url: URL, *statements: str, user: str | None = None) -> str:
    """Runs statements in the service's database, by its own account unless `user` is named."""
    user = user or url.username
    account = f" -{'U' if _is_postgres(url) else 'u'} {shlex.quote(user)}" if user else ""
    database = shlex.quote(url.database or "")
    if _is_postgres(url):
        words = " ".join(f"-c {_quoted(statement)}" for statement in statements)
        return f"psql {_place(url)}{account} -d {database} {words}"
    password = " -p" if url.password else ""
    return f"mysql {_place(url)}{account}{password} {database} -e {_quoted('; '.join(statements))}"


def _is_postgres(url: URL) -> bool:
    return url.get_backend_name() == "postgresql"


def _place(url: URL) -> str:
    query = {name: value if isinstance(value, str) else value[0] for name, value in url.query.items()}
    host = shlex.quote(url.host or query.get("host", "localhost"))
    if _is_postgres(url):
        return f"-h {host} -p {url.port or query.get('port', 5432)}"
    if socket := query.get("unix_socket"):
        return f"--socket={shlex.quote(socket)}"
    return f"-h {host} -P {url.port or 3306}"


def _quoted(statement: str) -> str:
    """For a shell, in double quotes: statements have single ones of their own."""
    return '"' + re.sub(r'(["$`\\])', r"\\\1", statement) + '"'
