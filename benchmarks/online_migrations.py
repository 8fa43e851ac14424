"""Every revision of inventory on a large database in use: how long it takes, and how long anybody waits for it.

    python -m benchmarks.online_migrations [--rows 1000000] [--results FILE]

The migration is a process of its own, as in a deployment. Meanwhile the old application writes and reads in its own
shapes, and from the ledger on the service writes too. A bystander writes into a table of its own, and somebody syncs
a page of a file: a wait that these have as well is the machine's. At the end every unit must be accounted for.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.database import postgres_database
from benchmarks.legacy_stocks import add_legacy_stocks
from benchmarks.traffic import WITNESSES, Seen, Traffic, longest_wait, traffic
from servicekit.engines import create_engine
from servicekit.migrations import Schema

RESULTS = Path(__file__).parent / "results/online_migrations.txt"
SCHEMA = Schema("inventory")
CLIENTS = ("old writer", "reader", "service", *WITNESSES)

QUIET_SECONDS = 60.0

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


@dataclass(frozen=True)
class Passage:
    """One revision, and what the clients saw meanwhile."""

    revision: str
    seconds: float
    seen: dict[str, Seen]

    @property
    def longest(self) -> float:
        """The longest that anybody but the witnesses waited, in seconds."""
        return longest_wait(self.seen)

    @property
    def errors(self) -> dict[str, int]:
        """What failed for clients, by message, with its number."""
        return {error: number for seen in self.seen.values() for error, number in seen.errors.items()}

    @property
    def line(self) -> str:
        """One line of the table: waits in milliseconds."""
        waits = []
        for client in CLIENTS:
            seen = self.seen.get(client, Seen())
            waits.append(f"{seen.longest_seconds * 1000:8.0f} {seen.calls:7}")
        return f"{self.revision:10} {self.seconds:9.1f}  {'  '.join(waits)}  {sum(self.errors.values()):6}"


async def run_process(url: str, revision: str) -> None:
    """`migrate upgrade REVISION` as a process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "inventory_service", "migrate", "upgrade", revision),
        env=os.environ | {"INVENTORY_DATABASE_URL": url, "INVENTORY_LOG_LEVEL": "warning"},
    )
    if await process.wait():
        raise SystemExit(f"revision {revision} failed")


async def pass_through(
    clients: Traffic,
    migrate: Migrate,
    tell: Callable[[Passage], None] = lambda passage: None,
    rest_seconds: float = 0.5,
) -> list[Passage]:
    """Applies every revision after 0001 beside the clients, with a rest before and after each."""
    passages = []
    for revision in [revision.id for revision in SCHEMA.history()][1:]:
        await asyncio.sleep(rest_seconds)
        clients.look()
        begin = time.perf_counter()
        await migrate(revision)
        seconds = time.perf_counter() - begin
        clients.has_counter = revision >= "0002"
        clients.has_ledger = revision >= "0005"
        # Who still waits is heard out.
        await asyncio.sleep(rest_seconds)
        passages.append(Passage(revision, seconds, clients.look()))
        tell(passages[-1])
    return passages


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
                await asyncio.sleep(QUIET_SECONDS)
                quiet = Passage("none", QUIET_SECONDS, clients.look())
                print(quiet.line, file=sys.stderr)
                passages = await pass_through(
                    clients,
                    lambda revision: run_process(url, revision),
                    lambda passage: print(passage.line, file=sys.stderr),
                )
            left = await unaccounted(engine)
        finally:
            await engine.dispose()
    return _report(rows, server, [quiet, *passages], left)


def _report(rows: int, server: str, passages: list[Passage], left: dict[str, int]) -> str:
    head = (
        f"{'revision':10} {'seconds':>9}  {'  '.join(f'{client:>16}' for client in CLIENTS)}  {'errors':>6}"
    )
    under = f"{'':21}" + f"  {'ms':>8} {'calls':>7}" * len(CLIENTS)
    lines = [
        f"{rows:,} stocks · {server}",
        "longest wait and number of calls of each client",
        "",
        head,
        under,
    ]
    lines += [passage.line for passage in passages]
    for passage in passages:
        lines += [f"{passage.revision}: {number} × {error}" for error, number in passage.errors.items()]
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
