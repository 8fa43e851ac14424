"""Every revision of delivery on a large database in use, then its contract steps: how long anybody waits for them.

    python -m benchmarks.package_migrations [--rows 200000] [--engines mysql mariadb] [--results FILE]

The migration is a process of its own, as in a deployment. Meanwhile the old application writes and reads in its own
shapes, and once there are rows for orders the service writes too. At the end what the old application wrote is
followed, and every list must say what the rows say.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.database import database, private_server
from benchmarks.legacy_packages import add_legacy_packages
from benchmarks.online_migrations import CLIENTS, QUIET_SECONDS, Migrate, Passage
from benchmarks.package_traffic import PackageTraffic, package_traffic
from delivery_service.application.follow_legacy_writes import follow_legacy_writes
from delivery_service.contract_steps.verification import differences_from_lists
from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.engines import create_engine
from servicekit.migrations import Schema
from servicekit.transactions import Transactions

RESULTS = Path(__file__).parent / "results/package_migrations.txt"
SCHEMA = Schema("delivery")
STEPS = ("enforce-status --writers-wait", "drop-order-ids", "restore-order-ids")
REST_SECONDS = 0.5


async def run_process(url: str, *words: str) -> None:
    """`migrate …` as a process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "delivery_service", "migrate", *words),
        env=os.environ | {"DELIVERY_DATABASE_URL": url, "DELIVERY_LOG_LEVEL": "warning"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    if process.returncode:
        raise SystemExit(f"migrate {' '.join(words)} failed:\n{told.decode()}")


async def pass_through(
    clients: PackageTraffic,
    migrate: Migrate,
    tell: Callable[[Passage], None] = lambda passage: None,
    rest_seconds: float = REST_SECONDS,
) -> list[Passage]:
    """Applies every revision after 0001 beside the clients, with a rest before and after each."""
    passages = []
    for revision in [revision.id for revision in SCHEMA.history()][1:]:
        passages.append(await passed(clients, revision, lambda at=revision: migrate(at), rest_seconds))  # type: ignore[misc]
        clients.has_orders = revision >= "0005"
        clients.has_marks = revision >= "0012"
        tell(passages[-1])
    return passages


async def passed(
    clients: PackageTraffic, name: str, step: Callable[[], object], rest_seconds: float = REST_SECONDS
) -> Passage:
    """One step beside the clients, and what they saw from just before it until just after it."""
    await asyncio.sleep(rest_seconds)
    clients.look()
    begin = time.perf_counter()
    await step()  # type: ignore[misc]
    seconds = time.perf_counter() - begin
    # Who still waits is heard out.
    await asyncio.sleep(rest_seconds)
    return Passage(name, seconds, clients.look())


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
                async with package_traffic(url, rows) as clients:
                    quiet = await passed(clients, "none", lambda: asyncio.sleep(QUIET_SECONDS))
                    _tell(quiet)
                    passages = await pass_through(clients, lambda to: run_process(url, "upgrade", to), _tell)
                    clients.old_application = False
                    begin = time.perf_counter()
                    followed = await follow_all(engine)
                    seconds = time.perf_counter() - begin
                    async with engine.connect() as connection:
                        differences = await differences_from_lists(connection)
                    await _let_time_pass(engine)
                    steps = []
                    for step in STEPS:
                        words = step.split()
                        steps.append(
                            await passed(clients, words[0], lambda w=words: run_process(url, "contract", *w))  # type: ignore[misc]
                        )
                        _tell(steps[-1])
                        await _let_time_pass(engine)
            finally:
                await engine.dispose()
    return [
        *_report(f"{rows:,} packages, {rows * 3:,} orders · {line}", [quiet, *passages]),
        f"packages that the old application wrote meanwhile: {followed:,}, followed afterwards in {seconds:.1f} s",
        f"packages whose list says something else than their rows: {'; '.join(differences) or 0}",
        "",
        *_report("contract steps, the old application gone", steps),
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
    print(passage.line, file=sys.stderr)


def _report(title: str, passages: Sequence[Passage]) -> list[str]:
    head = f"{'step':18} {'seconds':>9}  {'  '.join(f'{client:>16}' for client in CLIENTS)}  {'errors':>6}"
    under = f"{'':28}" + f"  {'ms':>8} {'calls':>7}" * len(CLIENTS)
    lines = [title, "longest wait and number of calls of each client", "", head, under]
    for passage in passages:
        # The line begins with the name, at least ten characters wide.
        figures = passage.line[max(len(passage.revision), 10) :]
        lines.append(f"{passage.revision:18}{figures}")
        lines += [f"  {number} × {error}" for error, number in passage.errors.items()]
    return lines


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
