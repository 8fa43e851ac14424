"""Delivery's writes: the transaction of CreatePackage beside its ORM form, two transitions, and the relay.

    python -m benchmarks.package_writes [--engines mysql mariadb] [--rounds 7] [--calls 160]

The two forms take turns on one database, with 1 caller and with 16; a figure is the median of the rounds with its
spread. Both write the record of a request besides the package, its order, item, event and command. CPU is this
process's, not the engine's. What is sent is recorded of calls that have the engine to themselves.
"""

import argparse
import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase

from benchmarks.bench.create_forms import SHOP, command_of, create_by_orm
from benchmarks.bench.package_books import add_orders, require
from benchmarks.database import database, private_server
from benchmarks.relay import measure_relay
from benchmarks.statement_steps import Steps, recorded_steps
from delivery_service.application.create_package import create_package
from delivery_service.application.move_package import MovePackage, move_package
from delivery_service.domain.move import Move
from delivery_service.domain.package_event import Actor
from delivery_service.domain.package_sn import new_package_sn
from delivery_service.domain.workflow import ActorRole, Verb
from delivery_service.persistence import tables
from delivery_service.persistence.unit_of_work import SqlUnitOfWork
from servicekit.persistence.engines import create_engine
from servicekit.persistence.requests import RequestKey
from servicekit.persistence.transactions import Transactions
from servicekit.schema.migrations import Schema

RESULTS = Path(__file__).parent / "results/package_writes.txt"
CALLERS = (1, 16)
WARM_UP = 24
REPLY = bytes(160)
ALONE = 40
MERCHANT = Actor(ActorRole.MERCHANT, str(SHOP))
Call = Callable[[int], Awaitable[None]]

_PHOTOS = text("""
    INSERT INTO evidence (evidence_id, package_id, package_sn, kind, file_name, media_type, size_bytes, sha256, width,
        height, uploader, create_time)
    SELECT CONCAT('E', id), id, prepare_sn, 'PREPARATION', 'a.jpg', 'image/jpeg', 90000, SHA2(id, 256), 800, 600,
        'merchant:1', UTC_TIMESTAMP(6) FROM tigu_prepare_goods
""")
_HELD = (
    text("UPDATE tigu_prepare_goods SET stock_state = 2, legacy_write_time = legacy_write_time"),
    text("UPDATE outbox SET state = 2, done_time = UTC_TIMESTAMP(6)"),
)
_NUMBERS = text("SELECT prepare_sn, id FROM tigu_prepare_goods ORDER BY id")


class _Mapped(DeclarativeBase):
    """What the ORM form maps here."""


class Request(_Mapped):
    """The record of a request."""

    __table__ = tables.requests


@dataclass
class Rounds:
    """Calls a second, and CPU milliseconds of each, a figure a round."""

    rates: list[float]
    cpu: list[float]

    @property
    def line(self) -> str:
        """Medians and spread."""
        rate, cpu = statistics.median(self.rates), statistics.median(self.cpu)
        return f"{rate:8.1f}/s [{min(self.rates):.1f}, {max(self.rates):.1f}]  CPU {cpu:6.2f} ms a call"


class Writes:
    """The calls, over one engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._transactions = Transactions(engine, SqlUnitOfWork, at_once=10)
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)

    async def create(self, order_id: int) -> None:
        """As the service does it, with a request_id."""
        command, key = command_of(order_id), _key(order_id)

        async def work(uow: SqlUnitOfWork) -> None:
            assert await uow.requests.claim(key) is None
            await create_package(command, uow, new_package_sn)
            await uow.requests.answer(key, REPLY)

        await self._transactions.run(work, name="create", repeatable=True)

    async def create_by_orm(self, order_id: int) -> None:
        """The same rows in a session's transaction."""
        command, key = command_of(order_id), _key(order_id)
        async with self._sessions.begin() as session:
            request: Any = Request()
            for name in ("caller", "method", "request_id", "digest"):
                setattr(request, name, getattr(key, name))
            request.create_time = datetime.now(UTC)
            session.add(request)
            await session.flush()
            await create_by_orm(command, session)
            request.response = REPLY

    async def prepare(self, package_sn: str, package_id: int) -> None:
        """A step with its photo."""
        await self._move(package_sn, Move(Verb.PREPARE, MERCHANT, (f"E{package_id}",)))

    async def cancel(self, package_sn: str) -> None:
        """A step with a command for inventory."""
        await self._move(package_sn, Move(Verb.CANCEL, MERCHANT))

    async def _move(self, package_sn: str, move: Move) -> None:
        command = MovePackage(package_sn, move, "bench")
        await self._transactions.run(lambda uow: move_package(command, uow), name="move", repeatable=True)


def _key(order_id: int) -> RequestKey:
    return RequestKey("merchant:1", "/CreatePackage", f"R{order_id}", f"{order_id:064}")


async def timed(calls: Sequence[Callable[[], Awaitable[None]]], callers: int) -> tuple[float, float]:
    """Calls a second, and CPU milliseconds of each."""
    waiting = iter(calls)

    async def caller() -> None:
        for call in waiting:
            await call()

    begin, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller() for _ in range(callers)))
    seconds, used = time.perf_counter() - begin, time.process_time() - cpu
    return len(calls) / seconds, used / len(calls) * 1000


async def alternate(
    sides: dict[str, Call], orders: Iterator[int], rounds: int, calls: int, callers: int
) -> dict[str, Rounds]:
    """Each side in turn, the first in every second round; the first round does not count."""
    taken = {name: Rounds([], []) for name in sides}
    for number in range(rounds + 1):
        for name in sorted(sides, reverse=bool(number % 2)):
            made = [partial(sides[name], next(orders)) for _ in range(calls if number else WARM_UP)]
            rate, cpu = await timed(made, callers)
            if number:
                taken[name].rates.append(rate)
                taken[name].cpu.append(cpu)
    return taken


async def alone(name: str, calls: Sequence[Callable[[], Awaitable[None]]]) -> list[str]:
    """What one call sends, and how long each step takes it."""
    with recorded_steps() as steps:
        begin = time.perf_counter()
        for call in calls:
            await call()
        taken = (time.perf_counter() - begin) / len(calls) * 1000
    return [
        f"{name}: {steps.statements / len(calls):.0f} statements in {steps.round_trips / len(calls):.0f} round trips,"
        f" {taken:.2f} ms a call",
        *_step_lines(steps, len(calls)),
    ]


def _step_lines(steps: Steps, calls: int) -> list[str]:
    return [
        f"  {statistics.median(seconds) * 1000:7.2f} ms  {len(seconds) / calls:4.1f} ×  {name}"
        for name, seconds in steps.taken.items()
        if len(seconds) * 2 >= calls
    ]


async def measure(engine: AsyncEngine, rounds: int, calls: int) -> list[str]:
    """Creating in both forms, then two transitions of what was created."""
    writes, orders = Writes(engine), itertools.count(1)
    sides: dict[str, Call] = {"ours": writes.create, "ORM": writes.create_by_orm}
    lines = []
    for callers in CALLERS:
        taken = await alternate(sides, orders, rounds, calls, callers)
        ratios = [ours / orm for ours, orm in zip(taken["ours"].rates, taken["ORM"].rates, strict=True)]
        lines += [f"create, {callers:2} callers, {name:5} {taken[name].line}" for name in sides]
        lines.append(
            f"create, {callers:2} callers, ours / ORM: {statistics.median(ratios):.2f}"
            f" [{min(ratios):.2f}, {max(ratios):.2f}]"
        )
    for name, side in sides.items():
        lines += ["", *await alone(f"create, {name}", [partial(side, next(orders)) for _ in range(ALONE)])]
    made = next(orders) - 1
    await require(engine, packages=made, links=made, items=made, wishes=made, events=made)
    return lines + await measure_moves(engine, writes, rounds, calls)


async def measure_moves(engine: AsyncEngine, writes: Writes, rounds: int, calls: int) -> list[str]:
    """PREPARE with its photo, then CANCEL with its release."""
    async with engine.begin() as connection:
        for statement in (*_HELD, _PHOTOS):
            await connection.execute(statement)
        rows = (await connection.execute(_NUMBERS)).all()
    moves: dict[str, list[Callable[[], Awaitable[None]]]] = {
        "prepare": [partial(writes.prepare, row.prepare_sn, row.id) for row in rows],
        "cancel": [partial(writes.cancel, row.prepare_sn) for row in rows],
    }
    lines = []
    for name, all_calls in moves.items():
        lines += ["", *await alone(name, all_calls[:ALONE])]
        for callers in CALLERS:
            taken = Rounds([], [])
            for _ in range(rounds):
                del all_calls[:calls]
                rate, cpu = await timed(all_calls[:calls], callers)
                taken.rates.append(rate)
                taken.cpu.append(cpu)
            lines.append(f"{name}, {callers:2} callers {taken.line}")
    return lines


async def measure_engine(name: str, rounds: int, calls: int, waiting: int) -> list[str]:
    """All of it on one engine."""
    with private_server(name) as (server, described):
        async with database(server) as url:
            engine = create_engine(url, pool_size=10)
            migrating = create_engine(url, pool_size=2, for_migrations=True)
            await Schema("delivery").upgrade(migrating)
            await migrating.dispose()
            await add_orders(engine, 2 * len(CALLERS) * (rounds * calls + WARM_UP) + 2 * ALONE)
            lines = [described, *await measure(engine, rounds, calls)]
            await engine.dispose()
    _, *relay = await measure_relay(name, max(rounds, 5), waiting)
    return [*lines, "", *relay, ""]


async def main() -> None:
    """Measures both engines and writes the results."""
    parser = argparse.ArgumentParser("benchmarks.package_writes", description=__doc__)
    parser.add_argument("--engines", nargs="+", default=["mysql", "mariadb"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=160)
    parser.add_argument("--waiting", type=int, default=1_000)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    lines: list[str] = []
    for engine in arguments.engines:
        measured = await measure_engine(engine, arguments.rounds, arguments.calls, arguments.waiting)
        print("\n".join(measured), flush=True)
        lines += measured
        await asyncio.to_thread(arguments.results.write_text, "\n".join(lines))


if __name__ == "__main__":
    asyncio.run(main())
