"""What the page makes of the runs: no violation is hidden by a run that tried less."""

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from chaos import results
from chaos.campaign import Trial
from chaos.campaigns import CAMPAIGNS
from chaos.results import Result, page, result

KILLS = 2


def a_run(
    attempts: int, *violations: str, seed: int = 1, size: int = 0, faults: Mapping[str, int] | None = None
) -> Result:
    """One of campaign 2 on MySQL."""
    return Result(
        campaign=KILLS,
        engine="mysql",
        day="2026-11-01",
        commit="abc",
        seed=seed,
        seconds=1.0,
        size=size or attempts,
        attempts=attempts,
        faults=faults or {"SIGKILL": attempts},
        contention={},
        worst_recovery=1.0,
        violations=violations,
    )


def violations(*runs: Result) -> str:
    """What stands in the row of the campaign."""
    rows = [line.split(" | ") for line in page(CAMPAIGNS, runs).splitlines()]
    return next(row[5] for row in rows if len(row) == 8 and row[1].endswith("(mysql)") and row[0] == "| 2")


def test_a_violation_stands_after_longer_runs_before_it_and_shorter_ones_after_it() -> None:
    assert violations(a_run(500), a_run(300, "lost"), a_run(40)) == "1"


def test_a_violation_is_mended_once_a_later_run_of_as_many_attempts_finds_none() -> None:
    assert violations(a_run(300, "lost"), a_run(300, seed=2)) == "0"


def test_a_violation_that_ended_a_long_run_soon_stands_after_a_short_one() -> None:
    assert violations(a_run(3, "lost", size=500), a_run(40)) == "1"


def test_a_run_that_found_violations_is_told_for_ever() -> None:
    told = page(CAMPAIGNS, [a_run(300, "a package\nis | lost"), a_run(500, seed=2)])

    assert "seed 1 | 300 kills | a package is \\| lost | 0 of 1 |" in told


def test_where_none_was_found_none_is_told() -> None:
    assert "found violations" not in page(CAMPAIGNS, [a_run(300)])


def test_a_fault_that_was_tried_in_several_places_is_told_once() -> None:
    faults = {"reset (callers)": 2, "reset (delivery to inventory)": 3, "SIGKILL of MySQL": 1}

    assert " | 1 × SIGKILL of MySQL, 5 × reset | " in page(CAMPAIGNS, [a_run(6, faults=faults)])


def test_faults_of_a_simulation_are_told_apart_from_those_of_processes() -> None:
    """Campaign 10 simulates, and tries P4 as campaign 2 does; P14 it tries without any that kills."""
    simulation = replace(a_run(1_000), campaign=10, engine="", faults={"answers lost": 70_000})

    told = page(CAMPAIGNS, [a_run(500), simulation])

    assert [row.split(" | ")[4] for row in told.splitlines() if row.startswith(("| P4 ", "| P14 "))] == [
        "500 × SIGKILL; simulated: 70,000 × answers lost",
        "simulated: 70,000 × answers lost",
    ]


def test_of_a_violation_that_says_very_much_the_beginning_is_kept(tmp_path: Path) -> None:
    trial = Trial(1, 7, tmp_path, violations=["left " + "[{}] " * 5_000])

    kept = result(CAMPAIGNS[KILLS], trial, day="2026-11-01", commit="abc", seconds=1.0)

    assert [len(violation) for violation in kept.violations] == [500]


def test_a_promise_is_tried_by_the_runs_on_engines_that_try_it() -> None:
    """Campaign 22 has inventory's histories on Postgres; who drives a package they do not know."""
    histories = replace(a_run(700), campaign=22, engine="postgres", faults={})

    told = page(CAMPAIGNS, [histories, replace(histories, engine="mysql", attempts=300)])

    assert [row.split(" | ")[3] for row in told.splitlines() if row.startswith(("| P2 ", "| P15 "))] == [
        "700 random histories",
        "300 random histories",
    ]


def test_a_later_run_that_soon_found_one_is_told_of_as_well() -> None:
    told = page(CAMPAIGNS, [a_run(300, "lost"), a_run(3, "lost", size=300), a_run(3, size=300)])

    assert "seed 1 | 300 kills | lost | 1 of 1 |" in told


@pytest.mark.parametrize(
    ("changed", "dirty"),
    [
        ("chaos/campaign.py", True),
        ("delivery_service/callers.toml", True),
        ("protos/service_config.json", True),
        ("docs/reliability.jsonl", False),
        ("README.md", False),
    ],
)
def test_a_commit_with_anything_changed_that_runs_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str, dirty: bool
) -> None:
    monkeypatch.setattr(results, "ROOT", tmp_path)
    file = tmp_path / changed
    file.parent.mkdir(exist_ok=True)
    file.write_text("as committed")
    author = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    for words in (("init", "-q"), ("add", "."), (*author, "commit", "-qm", "All of it")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    assert not results.commit().endswith("-dirty")

    file.write_text("changed since")

    assert results.commit().endswith("-dirty") is dirty
