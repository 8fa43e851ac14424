"""Every revision of delivery on a large database in use, then its contract steps: how long anybody waits for them.

    python -m benchmarks.package_migrations [--rows 200000] [--engines mysql mariadb] [--results FILE]

The migration is a process of its own, as in a deployment. Meanwhile the old application writes and reads in its own
shapes, and once there are rows for orders the service writes too. At the end what the old application wrote is
followed, and every list must say what the rows say.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.database import database, private_server
from benchmarks.legacy_packages import add_legacy_packages
from benchmarks.online_migrations import Migrate
from benchmarks.package_traffic import PackageTraffic, package_traffic
from benchmarks.passages import QUIET_SECONDS, REST_SECONDS, Passage, passed, run_migrate, table
from delivery_service.application.follow_legacy_writes import follow_legacy_writes
from delivery_service.contract_steps.verification import differences_from_lists
from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.engines import create_engine
from servicekit.persistence.transactions import Transactions
from servicekit.schema.migrations import Schema

RESULTS = Path(__file__).parent / "results/package_migrations.txt"
SCHEMA = Schema("delivery")
STEPS = ("enforce-status --writers-wait", "drop-order-ids", "restore-order-ids")


async def pass_through(
    clients: PackageTraffic,
    migrate: Migrate,
    tell: Callable[[Passage], None] = lambda passage: None,
    rest_seconds: float = REST_SECONDS,
) -> list[Passage]:
    """Applies every revision after 0001 beside the clients, with a rest before and after each."""
    passages = []
    for revision in [revision.id for revision in SCHEMA.history()][1:]:
        passages.append(await passed(clients, revision, partial(migrate, revision), rest_seconds))
        clients.has_orders = revision >= "0005"
        clients.has_marks = revision >= "0012"
        tell(passages[-1])
    return passages


async def follow_all(engine: AsyncEngine) -> int:
    """Follows what the old application wrote since the migration; answers how many packages it were."""
    transactions: Transactions[SqlUnitOfWork] = Transactions(engine, SqlUnitOfWork)
    followed = 0
    while done := await follow_legacy_writes(transactions):
        followed += done
    return followed


async def measure(kind: str, rows: int) -> list[str]:
    """The whole way on one engine, as a table."""
    with private_server(kind) as (server, line):
        async with database(server) as url:
            engine = create_engine(url, pool_size=3, for_migrations=True)
            try:
                print(f"filling {kind} with {rows} packages of before 0002", file=sys.stderr)
                await SCHEMA.upgrade(engine, "0001")
                await add_legacy_packages(engine, rows)
                migrate = partial(run_migrate, "delivery", url)
                async with package_traffic(url, rows) as clients:
                    quiet = await passed(clients, "none", lambda: asyncio.sleep(QUIET_SECONDS))
                    _tell(quiet)
                    passages = await pass_through(clients, partial(migrate, "upgrade"), _tell)
                    clients.old_application = False
                    begin = time.perf_counter()
                    followed = await follow_all(engine)
                    seconds = time.perf_counter() - begin
                    async with engine.connect() as connection:
                        differences = await differences_from_lists(connection)
                    await _let_time_pass(engine)
                    steps = []
                    for step in STEPS:
                        name, *words = step.split()
                        steps.append(await passed(clients, name, partial(migrate, "contract", name, *words)))
                        _tell(steps[-1])
                        await _let_time_pass(engine)
            finally:
                await engine.dispose()
    return [
        f"{rows:,} packages, {rows * 3:,} orders · {line}",
        *table(18, [quiet, *passages]),
        f"packages that the old application wrote meanwhile: {followed:,}, followed afterwards in {seconds:.1f} s",
        f"packages whose list says something else than their rows: {'; '.join(differences) or 0}",
        "",
        "contract steps, the old application gone",
        *table(18, steps),
        "",
    ]


async def _let_time_pass(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        for statement in (
            "UPDATE holdfast_schema_history SET record_time = record_time - INTERVAL 31 DAY",
            "UPDATE legacy_write_day SET last_time = last_time - INTERVAL 31 DAY",
        ):
            await connection.execute(text(statement))
        await connection.execute(
            text("UPDATE tigu_prepare_goods SET legacy_write_time = NULL WHERE legacy_write_time IS NOT NULL")
        )


def _tell(passage: Passage) -> None:
    print(f"{passage.revision} {passage.figures}", file=sys.stderr)


async def main() -> None:
    """Measures and writes the results."""
    parser = argparse.ArgumentParser("benchmarks.package_migrations", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--engines", nargs="+", default=["mysql", "mariadb"])
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    lines = []
    for kind in arguments.engines:
        lines += await measure(kind, arguments.rows)
    report = "\n".join(lines).rstrip()
    await asyncio.to_thread(arguments.results.write_text, report + "\n")
    print(report)


if __name__ == "__main__":
    asyncio.run(main())
