"""What the service's own records say of how well it keeps up."""

from collections.abc import Mapping

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from delivery_service.persistence.engine_probes import durability, locks, sessions
from delivery_service.persistence.outbox import INFLIGHT, PARKED, PENDING
from servicekit.operations.diagnostics import Diagnosis, Figure, Look, Probe, Severity, fine, over
from servicekit.operations.grpcurl import Grpcurl

LATE_SECONDS = 60
"""How long a command may wait for inventory before it is worth a look."""
OVERDUE_SECONDS = 300
"""How long until its package is held up for too long."""

_WAITING = Figure("holdfast_outbox_waiting", "Commands that inventory has still to be told.")
_AGE = Figure(
    "holdfast_outbox_oldest_age_seconds",
    "How long the oldest command waits for inventory, 0 where none does.",
)
_WAIT_FOR_PEOPLE = Figure(
    "holdfast_outbox_parked",
    "Commands that wait for people: refused for good, or of a package that cannot be read.",
)

# What stands behind a parked command of its package waits for an operator, whom the probe `parked` calls.
_OLDEST = text("""
    SELECT last_error, TIMESTAMPDIFF(SECOND, create_time, UTC_TIMESTAMP(6)) AS seconds, COUNT(*) OVER () AS commands
    FROM outbox waiting
    WHERE state IN (:pending, :in_flight) AND NOT EXISTS (
        SELECT 1 FROM outbox earlier
        WHERE earlier.package_id = waiting.package_id AND earlier.package_version < waiting.package_version
            AND earlier.state = :parked
    )
    ORDER BY create_time, entry_id LIMIT 1
""").bindparams(pending=PENDING, in_flight=INFLIGHT, parked=PARKED)
_PARKED = text("""
    SELECT entry_id, package_sn, command, last_error, COUNT(*) OVER () AS parked
    FROM outbox WHERE state = :parked ORDER BY entry_id LIMIT 1
""").bindparams(parked=PARKED)
_LIST = "holdfast.ops.v1.OpsService/ListOutbox"


def service_probes(watching: AsyncEngine, grpcurl: Grpcurl) -> Mapping[str, Probe]:
    """What the database can tell; `grpcurl` is how operators call this service."""
    looks: Mapping[str, Look] = {
        "durability": durability,
        "sessions": sessions,
        "locks": locks,
        "outbox": lambda connection: oldest_command(connection, grpcurl),
        "parked": lambda connection: parked_commands(connection, grpcurl),
    }
    return {name: over(watching, look) for name, look in looks.items()}


async def oldest_command(connection: AsyncConnection, grpcurl: Grpcurl) -> Diagnosis:
    """Whether commands reach inventory."""
    row = (await connection.execute(_OLDEST)).one_or_none()
    if row is None:
        return fine("no command waits for inventory", {_WAITING: 0, _AGE: 0})
    figures = {_WAITING: row.commands, _AGE: row.seconds}
    told = f"{row.commands} commands wait for inventory, the oldest for {row.seconds} s"
    if row.seconds < LATE_SECONDS:
        return fine(told, figures)
    not_answered = "it was not answered: no relay runs, or inventory hangs"
    told += f"; it was told: {row.last_error}" if row.last_error else f"; {not_answered}"
    severity = Severity.WARN if row.seconds < OVERDUE_SECONDS else Severity.FAIL
    return Diagnosis(severity, told, grpcurl(_LIST, '{"state": "OUTBOX_STATE_PENDING"}'), figures)


async def parked_commands(connection: AsyncConnection, grpcurl: Grpcurl) -> Diagnosis:
    """Whether a command waits for people."""
    row = (await connection.execute(_PARKED)).one_or_none()
    if row is None:
        return fine("no command is parked", {_WAIT_FOR_PEOPLE: 0})
    told = (
        f"{row.parked} commands are parked, the first is entry {row.entry_id}, {row.command} of {row.package_sn}:"
        f" {row.last_error}"
    )
    listed = grpcurl(_LIST, '{"state": "OUTBOX_STATE_PARKED"}')
    return Diagnosis(Severity.FAIL, told, listed, {_WAIT_FOR_PEOPLE: row.parked})
