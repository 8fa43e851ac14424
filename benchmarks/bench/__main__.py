"""python -m benchmarks.bench [--only ROW …] [--short] [--profile] [--list]; `make bench ARGS=…` comes here.

A full run replaces the report in docs/benchmarks. A part of one, a shorter one, one without h2load, or a void one goes
to .local/benchmarks.
"""

import argparse
import asyncio
import json
import random
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.bench import profiling
from benchmarks.bench.plot import svg
from benchmarks.bench.report import markdown, outcome
from benchmarks.bench.results import Void
from benchmarks.bench.rows import PANELS, chosen
from benchmarks.bench.run import ROUNDS, SECONDS, Plan, Run, rounds, run, seconds
from benchmarks.bench.targets import TARGETS
from devtools import interruption
from devtools.console import say, show
from devtools.engines.engine import EngineUnavailable
from servicekit.telemetry import logs

ROOT = Path(__file__).parents[2]
RESULTS, LOOKS = ROOT / "docs/benchmarks", ROOT / ".local/benchmarks"
SHORT_ROUNDS, SHORT_SECONDS = 1, 0.3


def main(words: list[str] | None = None) -> int:
    """Answers the exit code: 1 where a run is void, 2 for a row that there is not."""
    arguments = _parsed(words)
    if arguments.list:
        _list_rows()
        return 0
    seed = arguments.seed if arguments.seed is not None else random.randrange(1_000_000)
    try:
        plan = Plan(
            rows=chosen(arguments.only),
            rounds=arguments.rounds or (SHORT_ROUNDS if arguments.short else ROUNDS),
            seconds=arguments.seconds or (SHORT_SECONDS if arguments.short else SECONDS),
            seed=seed,
            short=arguments.short,
            engine=arguments.engine,
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    say(f"seed {seed}; the same again with --seed {seed}")
    try:
        if arguments.profile:
            whole = plan.seconds >= SECONDS and plan.complete and not plan.short
            asyncio.run(profiling.run(plan, report_folder(arguments.output, whole=whole), say))
            return 0
        done = asyncio.run(run(plan, say))
    except (Void, EngineUnavailable) as error:
        print(f"\nNothing was measured: {error}", file=sys.stderr)
        return 1
    _write(done, report_folder(arguments.output, whole=done.whole))
    for reason in done.void:
        print(f"This run is void. {reason}", file=sys.stderr)
    return 1 if done.void else 0


def report_folder(wanted: Path | None, *, whole: bool) -> Path:
    """Where a report goes; one that says less than it should never replaces the one that people read."""
    folder = wanted or RESULTS
    return folder if whole or folder.resolve() != RESULTS else LOOKS


def _parsed(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("make bench", description="Measures side by side, in turns.")
    parser.add_argument("--only", nargs="+", default=[], metavar="ROW", help="rows or panels, see --list")
    parser.add_argument("--short", action="store_true", help="a quick look: one short round")
    parser.add_argument("--profile", action="store_true", help="say where the server's CPU goes instead")
    parser.add_argument("--list", action="store_true", help="name the rows")
    parser.add_argument("--rounds", type=rounds, help=f"turns of each row, {ROUNDS} unless told")
    parser.add_argument("--seconds", type=seconds, help=f"of each turn, {SECONDS:g} unless told")
    parser.add_argument("--seed", type=int, help="of the order of turns")
    parser.add_argument("--engine", choices=("mysql", "mariadb"), default="mysql", help="delivery's")
    parser.add_argument("--output", type=Path, help="a folder for the report")
    return parser.parse_args(words)


def _list_rows() -> None:
    for panel in PANELS:
        show(f"{panel.key}: {panel.title}\n")
        for row in panel.rows:
            say(f"{row.key:24} {row.title} ({row.client})")


def _write(done: Run, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    raw = {
        "plan": {name: value for name, value in asdict(done.plan).items() if name != "rows"},
        "machine": done.facts,
        "left out": done.left_out,
        "void": done.void,
        "memory MiB": done.memory,
        "killed": done.killed,
        "turns": [asdict(turn) for turns in done.turns.values() for turn in turns],
    }
    (folder / "bench.json").write_text(json.dumps(raw, indent=1) + "\n")
    if done.turns:
        (folder / "bench.svg").write_text(svg(done.turns))
    (folder / "bench.md").write_text(markdown(done, "bench.svg", "bench.json"))
    show("\n")
    for target in TARGETS:
        say(outcome(target, done))
    say(f"written: {folder / 'bench.md'}, with bench.svg and bench.json")


if __name__ == "__main__":
    logs.configure("warning")
    sys.exit(interruption.run(main))
