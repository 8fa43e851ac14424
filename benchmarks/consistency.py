"""CheckConsistency and Reconcile of delivery at two sizes: time and memory, while everything is compared.

    python -m benchmarks.consistency [--packages 10000 100000] [--engines mysql mariadb] [--results FILE]

Both services are processes. Every hundredth package has lost its `order_ids`; inventory knows none of the holds, so
that each of them is a finding too, which is the most that can be found. Each line is measured by itself: what the
delivery server had resident before, and the most while it answered.
"""

import argparse
import asyncio
import os
import time
from pathlib import Path

import grpc
from holdfast.ops.v1 import ops_pb2, ops_pb2_grpc
from sqlalchemy import text

from benchmarks.delivery_servers import Memory, serving
from benchmarks.many_packages import add_packages
from servicekit.persistence.engines import create_engine
from tests.support.services import Pair

RESULTS = Path(__file__).parent / "results/consistency.txt"
CHECKS = ("events", "mapping", "orders", "proofs", "outbox", "reservations", "photos")
HEAD = (
    f"{'engine':<8} {'packages':>9}  {'step':<24} {'answers':>8} {'seconds':>8} {'before MiB':>11}"
    f" {'most MiB':>9} {'more':>5}"
)
OPERATOR = (("actor-role", "dispatcher"), ("actor-id", "benchmark"))
# What the generated history leaves open: how packages came where they are, and how often their holds were asked for.
_COMPLETED = (
    """
INSERT INTO package_event (package_id, sequence, verb, from_status, to_status, actor_role, actor_id, evidence_ids,
    note, create_time)
SELECT id, 3, 'RECONCILE', 0, prepare_status, 'SYSTEM', 'benchmark', '[]', '', UTC_TIMESTAMP()
FROM tigu_prepare_goods WHERE prepare_status > 0
""",
    """
UPDATE package_event JOIN tigu_prepare_goods ON id = package_id
SET package_event.driver_id = tigu_prepare_goods.driver_id
""",
    """
UPDATE tigu_prepare_goods JOIN package_event ON package_id = id AND sequence = 2
SET prepare_time = package_event.create_time
""",
    "UPDATE tigu_prepare_goods SET attempt = 1 WHERE reservation_id IS NOT NULL",
    "UPDATE tigu_prepare_goods SET order_ids = '' WHERE id % 100 = 0",
)


async def fill(url: str, packages: int) -> None:
    """The database as it is compared."""
    engine = create_engine(url, pool_size=2, for_migrations=True)
    await add_packages(engine, packages, history=True)
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in _COMPLETED:
            await connection.execute(text(statement))
    await engine.dispose()


async def measure(pair: Pair, name: str, packages: int, lines: list[str]) -> None:
    """Every check, then a dry run of all repairs of the mapping."""
    memory = Memory(pair.delivery.pid)
    async with pair.channel(pair.delivery) as channel:
        assert isinstance(channel, grpc.aio.Channel)
        operators = ops_pb2_grpc.OpsServiceStub(channel)
        for step in (*CHECKS, "dry run, mapping"):
            check = ops_pb2.CheckConsistencyRequest(checks=[step])
            dry = ops_pb2.ReconcileRequest(checks=["mapping"], validate_only=True)
            call = (
                operators.CheckConsistency(check, timeout=3600)
                if step in CHECKS
                else operators.Reconcile(dry, metadata=OPERATOR, timeout=3600)
            )
            before, began, answers = memory.forget(), time.perf_counter(), 0
            async for _ in call:
                answers += 1
            seconds, most = time.perf_counter() - began, memory.most()
            lines.append(
                f"{name:<8} {packages:>9}  {step:<24} {answers:>8} {seconds:>8.1f} {before:>11.0f}"
                f" {most:>9.0f} {most - before:>5.0f}"
            )
            print(lines[-1], flush=True)


async def main() -> None:
    """Measures each size on each engine and writes what came out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--packages", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--engines", nargs="+", default=["mysql", "mariadb"])
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    lines, about = [HEAD], []
    print(HEAD)
    for name in arguments.engines:
        for packages in arguments.packages:
            async with serving(name) as (pair, described):
                await fill(pair.delivery_url, packages)
                await measure(pair, name, packages, lines)
        about.append(described)
    arguments.results.parent.mkdir(exist_ok=True)
    arguments.results.write_text(f"{'; '.join(about)}; {os.cpu_count()} cores\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
