"""What the service's own records say of how well it keeps up."""

from collections.abc import Mapping
from datetime import UTC, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from inventory_service.application.prepare_ledger import missing_ledger_months
from inventory_service.persistence.engine_probes import durability, locks, sessions
from inventory_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.operations.diagnostics import Diagnosis, Figure, Look, Probe, Severity, fine, over
from servicekit.operations.grpcurl import Grpcurl
from servicekit.persistence.transactions import database_time

LATE_SWEEP_SECONDS = 30.0
"""How long a hold may be past its time before the sweeper is late."""
UNREFRESHED = timedelta(hours=2)
"""How old the view may be where others refresh it."""

_OPEN_HOLDS = Figure("holdfast_open_holds", "Holds that are open, with a time or without.")
_LATENESS = Figure(
    "holdfast_due_hold_age_seconds",
    "How long the hold that is due longest is past its time, 0 where none is.",
)
_VIEW_AGE = Figure("holdfast_metrics_view_age_seconds", "How old the figures of the metrics view are.")
_MISSING = Figure(
    "holdfast_ledger_months_missing", "Of this month and the next, those without a partition of the ledger."
)

_DUE = text("""
    SELECT reservation_id, extract(epoch FROM clock_timestamp() - expire_time)::float AS seconds
    FROM inventory.reservation WHERE state = 'HELD' AND expire_time <= clock_timestamp()
    ORDER BY expire_time LIMIT 1
""")
# By the index on open lines: of reservations most are over.
_OPEN = text("""
    SELECT count(*) FROM (SELECT FROM inventory.reservation_line WHERE open GROUP BY reservation_id) hold
""")


def service_probes(watching: AsyncEngine, refresh_seconds: float, grpcurl: Grpcurl) -> Mapping[str, Probe]:
    """`refresh_seconds` is the age at which the service refreshes the view, 0 where it does not.

    `grpcurl` is how operators call this service.
    """
    age = timedelta(seconds=2 * refresh_seconds) or UNREFRESHED
    looks: Mapping[str, Look] = {
        "durability": durability,
        "sessions": sessions,
        "locks": locks,
        "due_holds": due_holds,
        "metrics_view": lambda connection: metrics_view(connection, age, grpcurl),
        "ledger_partitions": lambda connection: ledger_partitions(connection, grpcurl),
    }
    return {name: over(watching, look) for name, look in looks.items()}


async def due_holds(connection: AsyncConnection) -> Diagnosis:
    """Whether holds past their time are swept."""
    row = (await connection.execute(_DUE)).one_or_none()
    open_holds = (await connection.execute(_OPEN)).scalar_one()
    figures = {_OPEN_HOLDS: open_holds, _LATENESS: row.seconds if row else 0}
    if row is None:
        return fine("no hold is past its time", figures)
    told = f"hold {row.reservation_id} is {row.seconds:.0f} s past its time"
    if row.seconds < LATE_SWEEP_SECONDS:
        return fine(told, figures)
    told += ": nobody sweeps; its units can be sold all the same, reports and alerts count them as held"
    return Diagnosis(Severity.WARN, told, "grep reservation_expiry $INVENTORY_LOG", figures)


async def metrics_view(connection: AsyncConnection, most: timedelta, grpcurl: Grpcurl) -> Diagnosis:
    """Whether reports are as old as they may be."""
    now = await database_time(connection)
    refreshed = await SqlUnitOfWork(connection, now).metrics.refresh_time()
    refresh = grpcurl("holdfast.inventory.v1.InventoryService/RefreshStockMetrics")
    if refreshed is None:
        return Diagnosis(Severity.WARN, "the metrics view was never refreshed", refresh)
    told = f"the metrics view is of {refreshed.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    figures = {_VIEW_AGE: (now - refreshed).total_seconds()}
    if now - refreshed <= most:
        return fine(told, figures)
    return Diagnosis(Severity.WARN, f"{told}; reports are to be at most {most} old", refresh, figures)


async def ledger_partitions(connection: AsyncConnection, grpcurl: Grpcurl) -> Diagnosis:
    """Whether this month and the next have their partitions."""
    missing = await missing_ledger_months(1, SqlUnitOfWork(connection, await database_time(connection)))
    figures = {_MISSING: len(missing)}
    if not missing:
        return fine("this month and the next have their partitions", figures)
    told = (
        f"the ledger has no partition for {', '.join(map(str, missing))}; movements go into the default one; a server"
        " makes partitions when it starts and once a day, and logs what is in the way"
    )
    request = '{"checks": ["partitions"], "validate_only": false}'
    make = grpcurl("holdfast.ops.v1.OpsService/Reconcile", request, role="dispatcher")
    return Diagnosis(Severity.WARN, told, make, figures)
