"""The seed's queries, measured: the four tables joined as they were, beside the one table and the view.

    python -m benchmarks.stock_queries [--rows 1172 1000000] [--results FILE]

The old tables stand as revision 0001 makes them, with an index on each stock_id (which nobody says they had), and
both sides are vacuumed. They stand in one database and are asked in turns; a time is what the client waits: the
fastest of many, which ratios are of, and the median, which tells how busy the machine was.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from benchmarks.database import postgres_database
from benchmarks.legacy_stocks import add_legacy_stocks
from benchmarks.turns import Times, take_turns
from benchmarks.write_costs import WriteCost, index_costs
from servicekit.persistence.engines import create_engine
from servicekit.schema.migrations import Schema

RESULTS = Path(__file__).parent / "results/stock_queries.txt"
SECONDS_A_QUERY = 3.0
MOST_RUNS = 300
FEWEST_RUNS = 5

_JOIN = (
    "FROM legacy.stock s LEFT JOIN legacy.stock_financial f ON f.stock_id = s.id"
    " LEFT JOIN legacy.stock_lifecycle l ON l.stock_id = s.id LEFT JOIN legacy.stock_metrics m ON m.stock_id = s.id"
)
_OLD_ROW = (
    "SELECT s.id, s.product_id, s.quantity, m.reserved_quantity, m.available_quantity, s.status,"
    f" f.gross_purchase_price, l.listed_on_platforms, l.status_history {_JOIN}"
)
_OUR_ROW = (
    "SELECT s.id, s.product_id, s.quantity, s.reserved_quantity, s.quantity - s.reserved_quantity AS available,"
    " s.status, s.gross_purchase_price, s.listed_on_platforms, s.status_history FROM inventory.stock s"
)
_OLD_METRICS = (
    "SELECT s.id, s.quantity, s.quantity - COALESCE(m.reserved_quantity, 0) AS available, m.reserved_quantity,"
    " COALESCE(s.gross_purchase_price, f.gross_purchase_price) AS total_cost,"
    " CASE WHEN COALESCE(s.roi_percentage, f.roi_percentage) > 0 THEN"
    " COALESCE(s.gross_purchase_price, f.gross_purchase_price)"
    f" * COALESCE(s.roi_percentage, f.roi_percentage) / 100 END AS expected_profit {_JOIN}"
)
_OUR_METRICS = (
    "SELECT stock_id, total_quantity, available_quantity, reserved_quantity, total_cost, expected_profit"
    " FROM inventory.stock_metrics_view"
)
_ONE = "'{id}'::uuid"
_LISTED = """@> '[{"platform": "%s", "status": "active"}]'"""


@dataclass(frozen=True)
class Question:
    """One question, asked of the old tables and of ours."""

    name: str
    old: str
    ours: str


QUESTIONS = (
    Question("one stock by id", f"{_OLD_ROW} WHERE s.id = {_ONE}", f"{_OUR_ROW} WHERE s.id = {_ONE}"),
    Question(
        "10 stocks in stock (the seed's lookup)",
        f"{_OLD_ROW} WHERE s.status = 'in_stock' LIMIT 10",
        f"{_OUR_ROW} WHERE s.status = 'in_stock' LIMIT 10",
    ),
    Question(
        "metrics of 10 available (the seed's)",
        f"{_OLD_METRICS} WHERE s.quantity - COALESCE(m.reserved_quantity, 0) > 0 LIMIT 10",
        f"{_OUR_METRICS} WHERE available_quantity > 0 LIMIT 10",
    ),
    Question(
        "metrics of one stock",
        f"{_OLD_METRICS} WHERE s.id = {_ONE}",
        f"{_OUR_METRICS} WHERE stock_id = {_ONE}",
    ),
    Question(
        "metrics of all, summed up",
        f"SELECT sum(available), sum(total_cost), sum(expected_profit) FROM ({_OLD_METRICS}) rows",  # noqa: S608
        f"SELECT sum(available_quantity), sum(total_cost), sum(expected_profit) FROM ({_OUR_METRICS}) rows",  # noqa: S608
    ),
    *(
        Question(
            f"{what} on {platform} ({often})",
            f"{start.format(_OLD_ROW, _JOIN)} WHERE l.listed_on_platforms {_LISTED % platform}{end}",
            f"{start.format(_OUR_ROW, 'FROM inventory.stock s')} WHERE s.listed_on_platforms {_LISTED % platform}{end}",
        )
        for platform, often in (("goat", "1 of 500"), ("ebay", "about every second"))
        for what, start, end in (
            ("50 listed", "{0}", " LIMIT 50"),
            ("number listed", "SELECT count(*) {1}", ""),
        )
    ),
    Question(
        "50 reserved stocks, by id",
        f"{_OLD_ROW} WHERE m.reserved_quantity > 0 ORDER BY s.id LIMIT 50",
        f"{_OUR_ROW} WHERE s.reserved_quantity > 0 ORDER BY s.id LIMIT 50",
    ),
    Question(
        "number and units reserved",
        f"SELECT count(*), sum(m.reserved_quantity) {_JOIN} WHERE m.reserved_quantity > 0",
        "SELECT count(*), sum(reserved_quantity) FROM inventory.stock WHERE reserved_quantity > 0",
    ),
)


@dataclass(frozen=True)
class Answer:
    """What both sides took, and how the engine went about it."""

    question: Question
    old: Times
    ours: Times
    rows: int
    old_plan: str
    our_plan: str

    @property
    def line(self) -> str:
        """One line of the table."""
        times = "".join(f" {side.fastest:9.3f} {side.median:9.3f}" for side in (self.old, self.ours))
        return f"{self.question.name:42}{times} {self.old.fastest / self.ours.fastest:8.2f} {self.rows:6}"


_CONSOLIDATED = """
INSERT INTO inventory.stock (id, sku, product_id, size_id, quantity, reserved_quantity, purchase_price,
    gross_purchase_price, vat_rate, status, roi_percentage, location, listed_on_platforms, status_history,
    created_at, updated_at)
SELECT s.id, s.id::text, s.product_id, s.size_id, s.quantity, COALESCE(m.reserved_quantity, 0), s.purchase_price,
    COALESCE(s.gross_purchase_price, f.gross_purchase_price), s.vat_rate,
    CASE WHEN s.status IN ('listed_stockx', 'reserved') THEN 'in_stock' ELSE s.status END, s.roi_percentage,
    s.location, l.listed_on_platforms, l.status_history, s.created_at, s.updated_at
FROM legacy.stock s LEFT JOIN legacy.stock_financial f ON f.stock_id = s.id
LEFT JOIN legacy.stock_lifecycle l ON l.stock_id = s.id LEFT JOIN legacy.stock_metrics m ON m.stock_id = s.id
"""


async def prepare(engine: AsyncEngine, rows: int) -> None:
    """Fills the old schema, moves it aside, and enters what it says into ours: migrating is not measured here."""
    schema = Schema("inventory")
    await schema.upgrade(engine, "0001")
    await add_legacy_stocks(engine, rows)
    async with engine.begin() as connection:
        await connection.execute(text("ALTER SCHEMA inventory RENAME TO legacy"))
    await schema.downgrade(engine, "base")
    await schema.upgrade(engine)
    async with engine.begin() as connection:
        # The ledger and the alerts are not asked here.
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(text(_CONSOLIDATED))
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))
        await connection.execute(text("SELECT inventory.refresh_stock_metrics()"))
        await connection.execute(text("VACUUM ANALYZE inventory.stock_metrics_view"))


async def ask(connection: AsyncConnection, question: Question) -> Answer:
    """Asks both sides in turns for a few seconds."""
    found = await connection.execute(text("SELECT id FROM inventory.stock ORDER BY md5(id::text) LIMIT 1"))
    one = found.scalar_one()
    sides = [side.replace("{id}", str(one)) for side in (question.old, question.ours)]
    rows = [0, 0]

    def asked(side: int) -> Callable[[int], Awaitable[None]]:
        async def once(_turn: int) -> None:
            rows[side] = len((await connection.exec_driver_sql(sides[side])).all())

        return once

    old, ours = await take_turns(
        [asked(0), asked(1)], seconds=SECONDS_A_QUERY, fewest=FEWEST_RUNS, most=MOST_RUNS
    )
    assert rows[0] == rows[1], (question.name, rows)
    plans = [await _plan(connection, statement) for statement in sides]
    return Answer(question, old, ours, rows[0], *plans)


async def _plan(connection: AsyncConnection, statement: str) -> str:
    lines = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {statement}")
    return "\n".join(f"    {line}" for line in lines.scalars())


async def measure(rows: int) -> tuple[str, list[Answer], list[WriteCost]]:
    """Everything at one size."""
    async with postgres_database() as (url, server):
        engine = create_engine(url, pool_size=4, for_migrations=True)
        try:
            print(f"{rows} stocks: filling and migrating", file=sys.stderr)
            await prepare(engine, rows)
            answers = []
            async with engine.connect() as connection:
                for question in QUESTIONS:
                    answers.append(await ask(connection, question))
                    print(answers[-1].line, file=sys.stderr)
            print(f"{rows} stocks: what the indexes cost writers", file=sys.stderr)
            return server, answers, await index_costs(engine)
        finally:
            await engine.dispose()


def table(rows: int, server: str, answers: Sequence[Answer], costs: Sequence[WriteCost]) -> str:
    """The figures of one size."""
    head = f"{'':42} {'4 tables: ms, median':>19} {'ours: ms, median':>19} {'old/ours':>8} {'rows':>6}"
    lines = [f"{rows:,} stocks · {server}", "", head, *(answer.line for answer in answers), ""]
    lines += ["changes a second by one writer, without and with an index, in turns", *(c.line for c in costs)]
    return "\n".join(lines)


def plans(rows: int, answers: Sequence[Answer]) -> str:
    """What the engine did."""
    parts = [f"Plans at {rows:,} stocks"]
    for answer in answers:
        parts.append(f"{answer.question.name}\n  four tables\n{answer.old_plan}\n  ours\n{answer.our_plan}")
    return "\n\n".join(parts)


async def main() -> None:
    """Measures every size and writes the results."""
    parser = argparse.ArgumentParser("benchmarks.stock_queries", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1172, 1_000_000])
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    tables, explained = [], []
    for rows in arguments.rows:
        server, answers, costs = await measure(rows)
        tables.append(table(rows, server, answers, costs))
        explained.append(plans(rows, answers))
    whole = "\n\n\n".join([*tables, *explained]) + "\n"
    await asyncio.to_thread(arguments.results.write_text, whole)
    print("\n\n".join(tables))


if __name__ == "__main__":
    asyncio.run(main())
