"""The seed's queries on packages, measured on MySQL and MariaDB: lists in a text column beside the mapping.

    python -m benchmarks.package_queries [--packages 1172 20000 200000 1000000] [--engines mysql mariadb]

All sizes stay on one server, in memory; sides are asked in turns. A turn is three questions about three orders: the
first pays for what the side before did to the caches and has a column of its own, the last is the one that counts. Half
of the orders are on their way, half are any. Ours are the very statements that the repositories send. A time is what
the client waits; rows are what the engine says that it read. An answer is wrong where it is not what the lists say,
read id by id.
"""

import argparse
import asyncio
import random
import re
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from benchmarks.database import database, private_server
from benchmarks.many_packages import add_packages
from benchmarks.package_questions import DELIVERY_TYPE, ORDER, WORKFLOW, Question, Statement
from benchmarks.turns import WARM_UP, Times, take_turns
from servicekit.operations.query_plans import explain
from servicekit.persistence.engines import create_engine
from servicekit.schema.migrations import Schema

RESULTS = Path(__file__).parent / "results/package_queries.txt"
SECONDS = 30.0
CALLS = 3
MOST_ROUNDS = 200
FEWEST_ROUNDS = 7
GROWTH_ROUNDS = 1000
MEMORY = 2**30
SEED = 6
HEAD = f"{'rows':>12}{'wrong':>10}{'times ours: fastest, median, first':>36}"
_LOG_SIZE = {"mysql": "innodb_redo_log_capacity", "mariadb": "innodb_log_file_size"}
_UNSAID = re.compile(r"\b(id|select_type|possible_keys|key_len|ref|filtered)=\S* ?")
_ACTIVE = "prepare_status IS NULL OR prepare_status < 6"

Truth = Mapping[int, Sequence[int]]
"""The delivery types of each order's active packages, sorted."""


@dataclass(frozen=True)
class Answer:
    """What one side took, read and got wrong, and how the engine went about it."""

    side: str
    times: Times
    rows_read: int
    wrong: str
    plan: str

    def line(self, ours: Times) -> str:
        """One line of the table."""
        t = self.times
        return (
            f"  {self.side:46}{t.fastest:10.3f}{t.median:10.3f}{t.slowest:10.3f}{len(t.taken):8}"
            f"{self.rows_read:12,}{self.wrong:>10}{t.fastest / ours.fastest:10.1f}{t.median / ours.median:10.1f}"
            f"{median(t.first) / median(ours.first):10.1f}"
        )


async def execute(connection: AsyncConnection, statements: Sequence[Statement]) -> Sequence[Any]:
    """The rows of the last statement."""
    for sql, parameters in statements:
        rows = (await connection.exec_driver_sql(sql, parameters)).all()
    return rows


async def rows_read(connection: AsyncConnection, statements: Sequence[Statement]) -> int:
    """How many rows and entries of indexes the engine reads for these statements."""

    async def counted() -> int:
        counters = await connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'")
        return sum(int(row.Value) for row in counters)

    before = await counted()
    own = await counted() - before
    await execute(connection, statements)
    return await counted() - before - 2 * own


async def ask(
    connection: AsyncConnection, question: Question, orders: Sequence[int], truth: Truth
) -> list[Answer]:
    """Asks all sides in turns for a while."""
    orders = orders[: (MOST_ROUNDS + WARM_UP) * CALLS]
    prepared = [[await side.statements(connection, order) for order in orders] for side in question.sides]
    found: list[dict[int, Sequence[Any]]] = [{} for _ in question.sides]

    def asked(side: int) -> Callable[[int], Awaitable[None]]:
        async def once(number: int) -> None:
            found[side][orders[number]] = await execute(connection, prepared[side][number])

        return once

    sides = [asked(side) for side in range(len(question.sides))]
    taken = await take_turns(sides, seconds=SECONDS, fewest=FEWEST_ROUNDS, most=MOST_ROUNDS, calls=CALLS)
    answers = []
    for side, times, statements, rows in zip(question.sides, taken, prepared, found, strict=True):
        wrong = "–"
        if question.answer:
            wrong = f"{sum(not question.is_right(rows[order], truth[order]) for order in rows)}/{len(rows)}"
        read = max([await rows_read(connection, statements[turn]) for turn in range(3)])
        answers.append(Answer(side.name, times, read, wrong, await plan(connection, statements[0])))
        print(answers[-1].line(times), file=sys.stderr)
    return answers


async def plan(connection: AsyncConnection, statements: Sequence[Statement]) -> str:
    """How the engine goes about the statements."""
    explained = await explain(connection, lambda: execute(connection, statements))
    lines = [line for one in explained for line in one.plan.splitlines()]
    return "\n".join(f"    {_UNSAID.sub('', line)}" for line in lines)


async def read_lists(connection: AsyncConnection) -> Truth:
    """What `order_ids` of the active packages say, taken apart id by id."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    rows = await connection.stream(
        text(f"SELECT order_ids, delivery_type FROM tigu_prepare_goods WHERE {_ACTIVE}")  # noqa: S608
    )
    async for row in rows:
        for part in row.order_ids.split(","):
            found[int(part)].append(row.delivery_type)
    return defaultdict(list, {order: sorted(types) for order, types in found.items()})


def choose_orders(packages: int) -> list[int]:
    """Orders for all rounds: by turns one of those that are on their way, and any."""
    drawn = random.Random(SEED)
    newest = int(packages * 1.8)
    return [drawn.randint(newest if turn % 2 else 1, packages * 2) for turn in range(GROWTH_ROUNDS + WARM_UP)]


async def measure(connection: AsyncConnection, packages: int) -> tuple[str, str]:
    """The table of one size, and its plans."""
    truth = await read_lists(connection)
    orders = choose_orders(packages)
    lines, plans = [f"{packages:,} packages"], [f"Plans at {packages:,} packages"]
    for question in (DELIVERY_TYPE, ORDER, WORKFLOW):
        answers = await ask(connection, question, orders, truth)
        lines += [question.name, *(answer.line(answers[-1].times) for answer in answers)]
        plans += [f"{question.name}, {answer.side}\n{answer.plan}" for answer in answers]
    lost, all_of_it = (
        await connection.execute(
            text(
                "SELECT SUM(prepare_status IS NULL), COUNT(*) FROM tigu_prepare_goods"  # noqa: S608
                f" WHERE delivery_type = 1 AND shipping_type = 0 AND ({_ACTIVE})"
            )
        )
    ).one()
    lines.append(f"  the seed's filter loses {lost} of {all_of_it} active packages: those without a status")
    return "\n".join(lines), "\n\n".join(plans)


async def growth(connections: Mapping[int, AsyncConnection]) -> str:
    """Ours at all sizes, in turns."""
    prepared = {}
    for size, connection in connections.items():
        ours = DELIVERY_TYPE.sides[-1]
        prepared[size] = [await ours.statements(connection, order) for order in choose_orders(size)]

    def asked(size: int) -> Callable[[int], Awaitable[object]]:
        return lambda turn: execute(connections[size], prepared[size][turn])

    taken = await take_turns(
        [asked(size) for size in prepared], seconds=SECONDS, fewest=GROWTH_ROUNDS, most=GROWTH_ROUNDS
    )
    return grown(dict(zip(prepared, taken, strict=True)))


def grown(by_size: Mapping[int, Times]) -> str:
    """The times of all sizes, and the largest beside 20,000 packages, or the smallest, where that is another."""
    smaller, largest = 20_000 if 20_000 in by_size else min(by_size), max(by_size)
    lines = [
        f"order → delivery type, ours at all sizes, {GROWTH_ROUNDS} rounds in turns",
        *(
            f"  {size:>9,} packages{t.fastest:10.3f}{t.median:10.3f}{t.slowest:10.3f}"
            for size, t in by_size.items()
        ),
    ]
    if largest != smaller:
        few, many = by_size[smaller], by_size[largest]
        lines.append(
            f"  {largest:,} / {smaller:,}: fastest {many.fastest / few.fastest:.2f},"
            f" median {many.median / few.median:.2f}"
        )
    return "\n".join(lines)


async def measure_engine(engine: str, sizes: Sequence[int]) -> AsyncIterator[tuple[str, str]]:
    """Tables with their plans: a head, one size after the other, and all of them together."""
    async with AsyncExitStack() as stack:
        server, described = stack.enter_context(private_server(engine))
        await give_memory(server, engine)
        times = f"{'fastest':>10}{'median':>10}{'slowest':>10}{'rounds':>8}"
        yield f"{described}, raised to 1 GiB; ms\n\n{'':48}{times}{HEAD}", described
        connections: dict[int, AsyncConnection] = {}
        for size in sizes:
            url = await stack.enter_async_context(database(server))
            opened = create_engine(url, pool_size=2, for_migrations=True)
            stack.push_async_callback(opened.dispose)
            await Schema("delivery").upgrade(opened)
            await add_packages(
                opened,
                size,
                history=False,
                told=lambda done: print(f"{engine}: {done:,} packages", file=sys.stderr),
            )
            connections[size] = await stack.enter_async_context(opened.connect())
            yield await measure(connections[size], size)
        yield await growth(connections), ""


async def give_memory(server: str, engine: str) -> None:
    """All of it fits into memory, on every side."""
    root = create_async_engine(server, isolation_level="AUTOCOMMIT")
    async with root.connect() as connection:
        for name in ("innodb_buffer_pool_size", _LOG_SIZE[engine]):
            await connection.execute(text(f"SET GLOBAL {name} = {MEMORY}"))
    await root.dispose()


async def main() -> None:
    """Measures every engine and size, and writes the results."""
    parser = argparse.ArgumentParser("benchmarks.package_queries", description=__doc__)
    parser.add_argument("--packages", type=int, nargs="+", default=[1172, 20_000, 200_000, 1_000_000])
    parser.add_argument("--engines", nargs="+", default=["mysql", "mariadb"])
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    tables: list[str] = []
    plans: list[str] = []
    for engine in arguments.engines:
        async for table, explained in measure_engine(engine, arguments.packages):
            tables.append(table)
            plans.append(explained)
            # After each size: the largest take long.
            await asyncio.to_thread(arguments.results.write_text, "\n\n".join([*tables, "", *plans]) + "\n")
    print("\n\n".join(tables))


if __name__ == "__main__":
    asyncio.run(main())
