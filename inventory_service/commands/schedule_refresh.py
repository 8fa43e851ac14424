"""`inventory-service migrate schedule-refresh`: lets pg_cron refresh the metrics view, or leaves it to the service."""

import argparse
import sys

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from servicekit.schema.migrate_command import Action
from servicekit.schema.migrations import Schema

JOB = "holdfast-refresh-stock-metrics"
HOURLY = "0 * * * *"

_PRESENT = text("SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron')")
_HOME = text(
    "SELECT current_database() AS database, current_setting('cron.database_name', true) AS home,"
    " (SELECT default_version FROM pg_available_extensions WHERE name = 'pg_cron') AS version"
)
_SCHEDULE = text("SELECT cron.schedule(:job, :schedule, 'SELECT inventory.refresh_stock_metrics()')")
_UNSCHEDULE = text(
    "SELECT cron.unschedule(jobid) FROM cron.job WHERE jobname = :job AND username = current_user"
)
_USERS = text("SELECT DISTINCT username FROM cron.job WHERE jobname = :job ORDER BY 1")
_NOTE = text(
    "INSERT INTO inventory.stock_metrics_refresh (scheduled) VALUES (:scheduled)"
    " ON CONFLICT (only_row) DO UPDATE SET scheduled = excluded.scheduled"
)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--schedule", default=HOURLY, metavar="CRON", help=f'when, as cron writes it (default: "{HOURLY}")'
    )
    parser.add_argument(
        "--remove", action="store_true", help="take the job back; the service refreshes again"
    )


async def _run(arguments: argparse.Namespace, schema: Schema, engine: AsyncEngine) -> int:
    serving = await schema.serving(engine)
    if not serving.level:
        print(f"{serving.told}; first: {serving.remedy}", file=sys.stderr)
        return 1
    async with engine.begin() as connection:
        present = (await connection.execute(_PRESENT)).scalar_one()
        if arguments.remove:
            return await _remove(connection, present)
        if not present:
            print(await _why_not(connection), file=sys.stderr)
            return 1
        await connection.execute(_SCHEDULE, {"job": JOB, "schedule": arguments.schedule})
        await connection.execute(_NOTE, {"scheduled": True})
    print(f'the job {JOB} refreshes the metrics view at "{arguments.schedule}"; the service stands by')
    return 0


async def _remove(connection: AsyncConnection, present: bool) -> int:
    # An extension that was dropped has taken its jobs along.
    if present:
        await connection.execute(_UNSCHEDULE, {"job": JOB})
        # Row security shows the jobs of others to a superuser only.
        if users := (await connection.execute(_USERS, {"job": JOB})).scalars().all():
            print(
                f"{', '.join(users)} installed a job {JOB}, which refreshes the metrics view still: let that user"
                " run this command",
                file=sys.stderr,
            )
            return 1
    await connection.execute(_NOTE, {"scheduled": False})
    print("no job refreshes the metrics view; the service does")
    return 0


async def _why_not(connection: AsyncConnection) -> str:
    found = (await connection.execute(_HOME)).one()
    if found.version is None:
        return (
            "this server has no pg_cron: install it (Debian: the package postgresql-<major>-cron), set"
            f" shared_preload_libraries = 'pg_cron' and cron.database_name = '{found.database}', and restart;"
            " until then the service refreshes the view"
        )
    if found.home is None:
        return (
            f"pg_cron {found.version} is there and not loaded: set shared_preload_libraries = 'pg_cron' and"
            f" cron.database_name = '{found.database}', and restart; until then the service refreshes the view"
        )
    if found.home != found.database:
        return (
            f"pg_cron runs in the database {found.home}: set cron.database_name = '{found.database}', or call"
            " inventory.refresh_stock_metrics() from there with cron.schedule_in_database"
        )
    return "pg_cron is not installed in this database: let a superuser run CREATE EXTENSION pg_cron"


ACTION = Action(
    "schedule-refresh", "let pg_cron refresh the metrics view, where the server has it", _add_arguments, _run
)
