"""Where an engine comes from: what is installed here, else a private copy. What was chosen is said in one line."""

from collections.abc import Callable, Sequence

from devtools.console import say
from devtools.engines import mariadb, mysql, postgres
from devtools.engines.engine import Engine, EngineUnavailable

Candidate = Callable[[], Engine]

MYSQL: Sequence[Candidate] = (mysql.on_this_machine, mysql.unpacked)
MARIADB: Sequence[Candidate] = (mariadb.on_this_machine, mariadb.unpacked)
POSTGRES: Sequence[Candidate] = (postgres.on_this_machine, postgres.unpacked, postgres.from_wheel)

WAYS_OUT = (
    "set INVENTORY_DATABASE_URL and DELIVERY_DATABASE_URL to servers of yours, or run `docker compose up`"
)


def choose(title: str, candidates: Sequence[Candidate]) -> Engine:
    """Returns the first candidate that can be had.

    Raises EngineUnavailable with every candidate's reason and with what a person can do.
    """
    reasons = []
    for candidate in candidates:
        try:
            engine = candidate()
        except EngineUnavailable as reason:
            reasons.append(str(reason))
        else:
            say(f"{engine.title} {engine.programs.version}, {engine.programs.origin}")
            return engine
    listed = "\n".join(f"    · {reason}" for reason in reasons)
    raise EngineUnavailable(f"{title} cannot be started on this machine:\n{listed}\n  Instead, {WAYS_OUT}.")


def for_inventory() -> Engine:
    """Chooses the engine of the inventory service."""
    return choose("Postgres", POSTGRES)


def for_delivery() -> Engine:
    """Chooses the engine of the delivery service: MySQL, and MariaDB only where MySQL cannot be had."""
    return choose("MySQL or MariaDB", (*MYSQL, *MARIADB))
