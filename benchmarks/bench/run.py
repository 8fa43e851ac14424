"""A whole run: servers, panels one after the other, and everything that the report is made of."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TypeVar

from benchmarks.bench import calls_panel, engine_limit, h2load, inventory_panels, latency_panel, package_panel
from benchmarks.bench.caller import caller
from benchmarks.bench.killing import killed
from benchmarks.bench.machine import facts
from benchmarks.bench.processor import pages_mib
from benchmarks.bench.results import Turn
from benchmarks.bench.rounds import measure
from benchmarks.bench.row import H2LOAD, PGBENCH, Row
from benchmarks.bench.row import Panel as RowPanel
from benchmarks.bench.rows import PANELS, chosen
from benchmarks.bench.sides import Panel, Tools
from benchmarks.bench.statement_forms import POOL
from benchmarks.database import private_server
from devtools.engines.engine import EngineUnavailable

ROUNDS, SECONDS = 5, 4.0
"""What a run needs to stand as the report."""
Say = Callable[[str], None]
Found = TypeVar("Found")


def rounds(word: str) -> int:
    """How many a command line asks for. Raises ValueError for none."""
    if (number := int(word)) < 1:
        raise ValueError(word)
    return number


def seconds(word: str) -> float:
    """How long a command line asks turns to be. Raises ValueError for what is no time."""
    if not 0 < (number := float(word)) < math.inf:
        raise ValueError(word)
    return number


OPENERS: Mapping[str, Panel] = {
    "calls": calls_panel.calls,
    "verbs": inventory_panels.verbs,
    "clients": inventory_panels.clients,
    "servers": inventory_panels.servers,
    "growth": inventory_panels.growth,
    "latency": latency_panel.latency,
}


@dataclass(frozen=True)
class Plan:
    """What is asked of a run: rows by panel, rounds of so many seconds; `engine` is delivery's."""

    rows: Mapping[str, Sequence[Row]]
    rounds: int
    seconds: float
    seed: int
    short: bool = False
    engine: str = "mysql"

    @property
    def complete(self) -> bool:
        """Whether no row is missing."""
        return dict(self.rows) == chosen([])

    def uses(self, client: str) -> bool:
        """Whether a row wants it; arrivals are at shares of h2load's peak."""
        by_row = any(row.client == client for rows in self.rows.values() for row in rows)
        return by_row or (client == H2LOAD and "latency" in self.rows)


@dataclass
class Run:
    """What came of it: turns by row, MiB by process, counts of the sale in which a server was killed."""

    plan: Plan
    facts: dict[str, str]
    turns: dict[str, list[Turn]] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    killed: Mapping[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    """Clients that could not be had, and why."""
    void: list[str] = field(default_factory=list)
    """Panels without figures, because their books or their calls failed, and why; one is enough to void the run."""

    @property
    def whole(self) -> bool:
        """Whether it may stand as the report: all that there is, for long enough, with the client in C, not void."""
        plan = self.plan
        long = plan.rounds >= ROUNDS and plan.seconds >= SECONDS
        return long and plan.complete and not plan.short and H2LOAD not in self.left_out and not self.void


async def run(plan: Plan, say: Say) -> Run:
    """Measures all that is planned and can be had. Raises EngineUnavailable without a database."""
    done = Run(plan, dict(facts()))
    client = _had(H2LOAD, plan, h2load.find, done, say)
    engine = _had(PGBENCH, plan, engine_limit.find, done, say)
    done.facts["sessions of the statements at most"] = str(POOL)
    if client:
        done.facts["client in C"] = f"h2load of {client.version()}"
    plan = _without({name for name, found in ((H2LOAD, client), (PGBENCH, engine)) if found is None}, plan)
    with ExitStack() as stack:
        postgres, line = stack.enter_context(private_server("postgres"))
        done.facts["inventory's engine"] = line
        async with caller() as python:
            tools = Tools(postgres, plan.seconds, plan.seed, plan.short, python, client, engine)
            for panel in PANELS:
                if wanted := plan.rows.get(panel.key, ()):
                    say(f"{panel.title}: {len(wanted)} row(s)")
                    await _measure_or_void(panel, wanted, tools, done, say)
            if done.turns:
                done.memory["Python client"] = pages_mib(python.pid)
    return done


async def _measure_or_void(panel: RowPanel, wanted: Sequence[Row], tools: Tools, done: Run, say: Say) -> None:
    try:
        if panel.key == "killed":
            done.killed = await killed(tools.postgres, short=tools.short)
            say("  " + ", ".join(f"{name} {number}" for name, number in done.killed.items()))
        else:
            await _measure(panel.key, wanted, tools, done, say)
    except Exception as error:  # whatever it is, the other panels can still be measured
        done.void.append(f"{panel.title}: {type(error).__name__}: {error}")
        say(f"  VOID  {error}")


async def _measure(key: str, rows: Sequence[Row], tools: Tools, done: Run, say: Say) -> None:
    def tell(row: Row, turn: Turn | None) -> None:
        name = f"{row.title} ({row.client}, {row.in_flight or 'any number'} in flight)"
        if turn is None:
            say(f"  warm    {name}")
            return
        told = f"{turn.rate * row.units:9,.0f}/s  foreign CPU {turn.foreign_cores:.2f}"
        say(f"  {turn.round}/{done.plan.rounds}  {told}  {name}")

    # A string, so that a panel's order does not hang on which others are measured.
    dice = random.Random(f"{done.plan.seed} {key}")
    opener = package_panel.on_engine(done.plan.engine) if key == "packages" else OPENERS[key]
    async with opener(tools, rows) as opened:
        plan = done.plan
        turns = await measure(opened, rows, rounds=plan.rounds, seconds=plan.seconds, dice=dice, tell=tell)
        for check in opened.checks:
            await check()
        for turn in turns:
            done.turns.setdefault(turn.row, []).append(turn)
        done.memory |= {name: pages_mib(pid) for name, pid in opened.processes.items()}
        done.facts |= opened.facts


def _had(client: str, plan: Plan, find: Callable[[], Found], done: Run, say: Say) -> Found | None:
    """What rows of this client are measured with; None where there are none, or it cannot be had, which is said."""
    if not plan.uses(client):
        return None
    try:
        return find()
    except EngineUnavailable as reason:
        done.left_out[client] = str(reason)
        say(f"left out: rows of {client}: {reason}")
        return None


def _without(missing: set[str], plan: Plan) -> Plan:
    rows = {key: tuple(row for row in some if row.client not in missing) for key, some in plan.rows.items()}
    return replace(plan, rows=rows)
