"""What campaigns found, run after run: docs/reliability.jsonl keeps every run, docs/reliability.md tells of them."""

import fcntl
import json
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaos.campaign import MOST_VIOLATIONS, Campaign, Trial
from chaos.promises import PROMISES

ROOT = Path(__file__).parents[1]
RUNS, PAGE = ROOT / "docs/reliability.jsonl", ROOT / "docs/reliability.md"
_TELLING_ONLY = (":!docs", ":!*.md", ":!benchmarks/results")
"""What nothing is made of that runs; every run of a campaign changes some of it."""
MOST_CHARACTERS = 500
"""So many characters of a violation are kept: what one found may be a whole ledger."""
HEAD = """# What campaigns found

Written by `make chaos` from [every run so far](reliability.jsonl). `make chaos` tries all campaigns to their short
size, `make chaos CAMPAIGN=2` one to its long size; `CHAOS_MINUTES=5` ends each after so many minutes, and such a run is
PARTIAL. A run that met nothing to withstand counts as a violation. A violation stands until a later run of the size
that its own was to have finds none; the runs that found some are told at the end. What is tried by tests only is tried
in every `make test`. Which campaigns and tests find a defect that is planted for them, `make mutants` shows:
[planted defects](mutants.md).

A recovery is the time until the work went on, or until nothing was in hand any more (5 and 15): from the fault, or from
when its cause was gone, as each campaign says. Where a campaign has a row for (postgres), that is inventory alone, as
is the row of 9 without an engine; the others are delivery.

"""


@dataclass(frozen=True)
class Result:
    """One run of a campaign on one engine."""

    campaign: int
    engine: str
    day: str
    commit: str
    seed: int
    seconds: float
    size: int
    attempts: int
    faults: Mapping[str, int]
    contention: Mapping[str, int]
    worst_recovery: float | None
    violations: Sequence[str]

    @property
    def partial(self) -> bool:
        """Whether it ended before its attempts were made: by its time, by what it found, or by what it fell over."""
        return self.attempts < self.size


def result(campaign: Campaign, trial: Trial, *, day: str, commit: str, seconds: float) -> Result:
    """What one trial came to."""
    return Result(
        campaign=campaign.number,
        engine=trial.engine,
        day=day,
        commit=commit,
        seed=trial.seed,
        seconds=round(seconds, 1),
        size=trial.size,
        attempts=trial.attempts,
        faults=dict(trial.faults),
        contention=dict(trial.contention),
        worst_recovery=round(max(trial.recoveries), 2) if trial.recoveries else None,
        violations=[violation[:MOST_CHARACTERS] for violation in trial.violations[:MOST_VIOLATIONS]],
    )


def publish(found: Result, campaigns: Mapping[int, Campaign]) -> None:
    """Adds a run to the file, and writes the page anew; another campaign that ends at the same moment waits."""
    with RUNS.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(f"{json.dumps(asdict(found))}\n")
        file.flush()
        PAGE.write_text(page(campaigns, remembered()))


def remembered() -> list[Result]:
    """Every run so far, oldest first."""
    if not RUNS.exists():
        return []
    lines: Iterable[dict[str, Any]] = map(json.loads, RUNS.read_text().splitlines())
    return [Result(**line) for line in lines]


def page(campaigns: Mapping[int, Campaign], runs: Sequence[Result]) -> str:
    """Tables of all runs: by promise, by campaign with the longest run of each engine, and of those that failed."""
    by_promise = [
        "| | promise | campaigns | attempts | faults survived | violations | worst recovery |",
        "|--:|---|--:|---|--:|--:|--:|",
        *(_promise(number, campaigns, runs) for number in PROMISES),
    ]
    by_campaign = [
        "| | campaign | longest run | attempts | faults survived | violations | worst recovery | last run |",
        "|--:|---|--:|--:|---|--:|--:|---|",
        *(
            _campaign(campaign, engine, runs)
            for _, campaign in sorted(campaigns.items())
            for engine in campaign.engines
        ),
    ]
    failed = [run for run in runs if run.violations]
    by_run = [
        "| | run that found violations | after | first of them | later runs as long that found any |",
        "|--:|---|---|---|---|",
        *(_failed(campaigns[run.campaign], run, runs) for run in failed),
    ]
    return HEAD + "\n".join([*by_promise, "", *by_campaign, *(["", *by_run] if failed else [])]) + "\n"


def _promise(number: int, campaigns: Mapping[int, Campaign], runs: Sequence[Result]) -> str:
    trying = sorted(campaign.number for campaign in campaigns.values() if number in campaign.promises)
    mine = [
        run for run in runs if run.campaign in trying and campaigns[run.campaign].tries(number, run.engine)
    ]
    attempts: Counter[str] = Counter()
    for run in sorted(mine, key=lambda run: run.campaign):
        attempts[campaigns[run.campaign].attempt] += run.attempts
    return _cells(
        f"P{number}",
        PROMISES[number],
        ", ".join(map(str, trying)) or "tests only",
        # A call and a minute under faults are no sum.
        ", ".join(f"{count:,} {attempt}" for attempt, count in attempts.items()),
        _survived(
            [run for run in mine if not campaigns[run.campaign].simulated],
            [run for run in mine if campaigns[run.campaign].simulated],
        ),
        *_figures(mine),
    )


def _survived(runs: Iterable[Result], simulations: Iterable[Result] = ()) -> str:
    """The faults by their kind; what happened to processes, and what happened in their model, apart."""
    real, simulated = (
        ", ".join(f"{count:,} × {kind}" for kind, count in sorted(_kinds(_faults(these)).items()))
        for these in (runs, simulations)
    )
    return "; ".join(filter(None, (real, simulated and f"simulated: {simulated}")))


def _campaign(campaign: Campaign, engine: str, runs: Sequence[Result]) -> str:
    title = f"{campaign.title}{f' ({engine})' if engine else ''}"
    mine = [run for run in runs if (run.campaign, run.engine) == (campaign.number, engine)]
    if not mine:
        return _cells(str(campaign.number), title, "not run", "", "", "", "", "")
    longest, last = max(mine, key=lambda run: run.attempts), mine[-1]
    reached = f"{longest.attempts:,} of {campaign.long:,} {campaign.attempt}"
    violations, recovery = _figures(mine)
    return _cells(
        str(campaign.number),
        title,
        f"{reached} PARTIAL" if longest.partial else reached,
        f"{sum(run.attempts for run in mine):,}",
        _survived(mine),
        violations,
        recovery,
        f"{last.day}, {last.commit}, seed {last.seed}{', PARTIAL' if last.partial else ''}",
    )


def _failed(campaign: Campaign, run: Result, runs: Sequence[Result]) -> str:
    # One that found some may have ended soon for that.
    since = [
        later
        for later in _after(run, runs)
        if later.size >= run.size and (later.violations or not later.partial)
    ]
    broken = sum(1 for later in since if later.violations)
    return _cells(
        str(campaign.number),
        f"{campaign.title}{f' ({run.engine})' if run.engine else ''}, {run.day}, {run.commit}, seed {run.seed}",
        f"{run.attempts:,} {campaign.attempt}",
        run.violations[0].replace("|", "\\|").replace("\n", " ")[:300],
        f"{broken} of {len(since)}" if since else "none yet",
    )


def _after(run: Result, runs: Sequence[Result]) -> Iterator[Result]:
    """The later runs of the same campaign on the same engine."""
    for later in runs[runs.index(run) + 1 :]:
        if (later.campaign, later.engine) == (run.campaign, run.engine):
            yield later


def _standing(runs: Sequence[Result]) -> int:
    """The violations of which no later run, as long as theirs was to be, says that they are mended."""
    return sum(
        len(run.violations)
        for run in runs
        if not any(later.attempts >= run.size and not later.violations for later in _after(run, runs))
    )


def _figures(runs: Sequence[Result]) -> tuple[str, str]:
    """How many violations stand, and the worst recovery."""
    if not runs:
        return "", ""
    recoveries = [run.worst_recovery for run in runs if run.worst_recovery is not None]
    return (
        f"{_standing(runs):,}",
        f"{max(recoveries):.1f} s" if recoveries else "",
    )


def _faults(runs: Iterable[Result]) -> Counter[str]:
    faults: Counter[str] = Counter()
    for run in runs:
        faults.update(run.faults)
    return faults


def _kinds(faults: Mapping[str, int]) -> Counter[str]:
    """A fault that has its place in brackets is told once for all places: each run's record has them apart."""
    kinds: Counter[str] = Counter()
    for name, count in faults.items():
        kind, *_ = name.split(" (")
        kinds[kind] += count
    return kinds


def _cells(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def commit() -> str:
    """What these sources are, as far as git knows."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--", ".", *_TELLING_ONLY)
    return (git("rev-parse", "--short=10", "HEAD") or "unknown") + ("-dirty" if changed else "")
