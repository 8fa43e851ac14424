"""Every revision of inventory on a large database in use: how long it takes, and how long anybody waits for it.

    python -m benchmarks.online_migrations [--rows 1000000] [--results FILE]

The migration is a process of its own, as in a deployment. Meanwhile the old application writes and reads in its own
shapes, and from the ledger on the service writes too. A bystander writes into a table of its own, and somebody syncs
a page of a file: a wait that these have as well is the machine's. At the end every unit must be accounted for.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.database import postgres_database
from benchmarks.legacy_stocks import add_legacy_stocks
from benchmarks.passages import QUIET_SECONDS, REST_SECONDS, Passage, passed, run_migrate, table
from benchmarks.traffic import Traffic, traffic
from servicekit.persistence.engines import create_engine
from servicekit.schema.migrations import Schema

RESULTS = Path(__file__).parent / "results/online_migrations.txt"
SCHEMA = Schema("inventory")
Migrate = Callable[[str], Awaitable[None]]

# Stocks whose quantity is not the sum of their movements, and whose counter is not the sum of their open lines.
UNACCOUNTED = {
    "quantities": """
        SELECT count(*) FROM inventory.stock s
        LEFT JOIN (SELECT stock_id, sum(delta) AS units FROM inventory.stock_movement GROUP BY stock_id) m
        ON m.stock_id = s.id WHERE s.quantity <> COALESCE(m.units, 0)
    """,
    "held units": """
        SELECT count(*) FROM inventory.stock s
        LEFT JOIN (SELECT stock_id, sum(quantity) AS units FROM inventory.reservation_line WHERE open
            GROUP BY stock_id) l
        ON l.stock_id = s.id WHERE s.reserved_quantity <> COALESCE(l.units, 0)
    """,
}


async def pass_through(
    clients: Traffic,
    migrate: Migrate,
    tell: Callable[[Passage], None] = lambda passage: None,
    rest_seconds: float = REST_SECONDS,
) -> list[Passage]:
    """Applies every revision after 0001 beside the clients, with a rest before and after each."""
    passages = []
    for revision in [revision.id for revision in SCHEMA.history()][1:]:
        passages.append(
            await passed(clients, revision, partial(_migrate, migrate, revision, clients), rest_seconds)
        )
        tell(passages[-1])
    return passages


async def _migrate(migrate: Migrate, revision: str, clients: Traffic) -> None:
    await migrate(revision)
    clients.has_counter = revision >= "0002"
    clients.has_ledger = revision >= "0005"


async def unaccounted(engine: AsyncEngine) -> dict[str, int]:
    """How many stocks do not add up."""
    async with engine.connect() as connection:
        return {
            what: (await connection.execute(text(query))).scalar_one() for what, query in UNACCOUNTED.items()
        }


async def measure(rows: int) -> str:
    """The whole way at one size, as a table."""
    async with postgres_database() as (url, server):
        engine = create_engine(url, pool_size=2, for_migrations=True)
        try:
            print(f"filling a database of before 0002 with {rows} stocks", file=sys.stderr)
            await SCHEMA.upgrade(engine, "0001")
            await add_legacy_stocks(engine, rows)
            async with traffic(url, rows) as clients:
                quiet = await passed(clients, "none", lambda: asyncio.sleep(QUIET_SECONDS))
                _tell(quiet)
                migrate = partial(run_migrate, "inventory", url, "upgrade")
                passages = await pass_through(clients, migrate, _tell)
            left = await unaccounted(engine)
        finally:
            await engine.dispose()
    return _report(rows, server, [quiet, *passages], left)


def _tell(passage: Passage) -> None:
    print(f"{passage.revision} {passage.figures}", file=sys.stderr)


def _report(rows: int, server: str, passages: list[Passage], left: dict[str, int]) -> str:
    lines = [f"{rows:,} stocks · {server}", *table(10, passages)]
    lines += [f"stocks whose {what} are not accounted for: {number}" for what, number in left.items()]
    return "\n".join(lines)


async def main() -> None:
    """Measures and writes the results."""
    parser = argparse.ArgumentParser("benchmarks.online_migrations", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    report = await measure(arguments.rows)
    await asyncio.to_thread(arguments.results.write_text, report + "\n")
    print(report)


if __name__ == "__main__":
    asyncio.run(main())
