"""`make chaos`: what it runs, to which size, what it leaves on record and how it ends."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from chaos import __main__ as command
from chaos import results
from chaos.campaign import Campaign, Trial
from devtools.engines.engine import EngineUnavailable


async def keeps(trial: Trial) -> None:
    while trial.more:
        trial.faults["SIGKILL"] += 1
        trial.recoveries.append(0.25)
        trial.attempted()


async def breaks(trial: Trial) -> None:
    trial.attempted()
    trial.require(False, "sold twice")


async def breaks_always(trial: Trial) -> None:
    while trial.more:
        await breaks(trial)


async def falls(trial: Trial) -> None:
    raise ExceptionGroup("done at once", [RuntimeError("no server")])


async def is_interrupted(trial: Trial) -> None:
    raise KeyboardInterrupt


async def breaks_and_is_interrupted(trial: Trial) -> None:
    await breaks(trial)
    await is_interrupted(trial)


CAMPAIGNS = {
    1: Campaign(1, "kept", (1, 4), "kills", 3, 30, keeps, engines=("mysql", "mariadb")),
    2: Campaign(2, "broken", (1,), "sales", 1, 10, breaks),
    3: Campaign(3, "fallen", (24,), "stops", 1, 10, falls),
}


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Campaigns of this file, no servers, and a folder for what is written."""

    @contextmanager
    def no_engines(names: set[str]) -> Iterator[None]:
        yield

    monkeypatch.setattr(command, "CAMPAIGNS", CAMPAIGNS)
    monkeypatch.setattr(command, "_engines", no_engines)
    monkeypatch.setattr(results, "PAGE", tmp_path / "reliability.md")
    monkeypatch.setattr(results, "RUNS", tmp_path / "reliability.jsonl")
    monkeypatch.delenv("CHAOS_MINUTES", raising=False)
    return tmp_path


def runs(place: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (place / "reliability.jsonl").read_text().splitlines()]


def test_a_campaign_that_is_named_is_run_to_its_long_size_on_each_engine(place: Path) -> None:
    assert command.main(["--campaign", "1", "--seed", "7"]) == 0

    assert [(run["engine"], run["size"], run["attempts"], run["seed"]) for run in runs(place)] == [
        ("mysql", 30, 30, 7),
        ("mariadb", 30, 30, 7),
    ]
    page = (place / "reliability.md").read_text()
    assert (
        "| P4 | A repeated call has one effect and the same answer | 1 | 60 kills | 60 × SIGKILL | 0 | 0.2 s |"
        in page
    )
    assert "30 of 30 kills" in page and "PARTIAL" not in page.partition("|")[2]


def test_one_engine_can_be_chosen(place: Path) -> None:
    assert command.main(["--campaign", "1", "--engine", "mariadb"]) == 0

    assert [run["engine"] for run in runs(place)] == ["mariadb"]


@pytest.mark.parametrize(
    ("engines", "started"),
    [
        (("postgres",), {"postgres", "mysql"}),
        (("mariadb",), {"postgres", "mariadb"}),
        (("",), {"", "postgres"}),
    ],
)
def test_the_other_services_engine_is_started_too(
    monkeypatch: pytest.MonkeyPatch, engines: Sequence[str], started: set[str]
) -> None:
    asked: list[set[str]] = []

    @contextmanager
    def remembered(names: set[str]) -> Iterator[None]:
        asked.append(names)
        yield

    monkeypatch.setattr(command, "CAMPAIGNS", {1: replace(CAMPAIGNS[1], engines=engines)})
    monkeypatch.setattr(command, "_engines", remembered)

    assert command.main(["--campaign", "1"]) == 0

    assert asked == [started]


def test_an_engine_of_which_no_campaign_is_one_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--campaign", "1", "2", "--engine", "postgres"]) == 2

    assert capsys.readouterr().err == "none of these campaigns is one of postgres\n"
    assert list(place.iterdir()) == []


def test_a_campaign_is_run_to_the_size_that_is_asked_for(place: Path) -> None:
    assert command.main(["--campaign", "1", "--size", "2"]) == 0

    assert [run["attempts"] for run in runs(place)] == [2, 2]
    assert "2 of 30 kills" in (place / "reliability.md").read_text()


def test_without_a_name_all_are_run_to_their_short_size_and_a_broken_promise_is_the_exit_code(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([]) == 1

    assert [run["violations"] for run in runs(place)] == [
        [],
        [],
        ["sold twice"],
        ["ended by RuntimeError: no server"],
    ]
    assert "campaign 2: sold twice" in capsys.readouterr().err
    page = (place / "reliability.md").read_text()
    assert "| 1, 2 | 6 kills, 1 sales | 6 × SIGKILL | 1 | 0.2 s |" in page


def test_who_wants_to_know_of_the_first_violation_is_told_no_more(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    always = Campaign(4, "broken", (1,), "sales", 9, 9, breaks_always, engines=("mysql", "mariadb"))
    monkeypatch.setattr(command, "CAMPAIGNS", {4: always})

    assert command.main(["--campaign", "4", "--first"]) == 1

    assert [(run["engine"], run["violations"]) for run in runs(place)] == [("mysql", ["sold twice"])]


def test_runs_accumulate_and_one_that_its_time_ended_is_partial(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAOS_MINUTES", "0")
    assert command.main(["--campaign", "1"]) == 0
    page = (place / "reliability.md").read_text()
    assert "0 of 30 kills PARTIAL" in page and ", PARTIAL |" in page

    monkeypatch.delenv("CHAOS_MINUTES")
    assert command.main(["--campaign", "1", "--short"]) == 0

    assert [run["attempts"] for run in runs(place)] == [0, 0, 3, 3]
    page = (place / "reliability.md").read_text()
    assert "3 of 30 kills |" in page
    assert "| 2 | broken | not run |" in page


def test_what_was_run_before_an_interrupt_is_on_the_page(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted = Campaign(4, "interrupted", (1,), "stops", 1, 10, is_interrupted)
    monkeypatch.setattr(command, "CAMPAIGNS", {1: CAMPAIGNS[1], 4: interrupted})

    with pytest.raises(KeyboardInterrupt):
        command.main([])

    assert "3 of 30 kills" in (place / "reliability.md").read_text()


def test_of_two_that_end_at_the_same_moment_the_page_has_both(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = results.page
    other = Thread(target=command.main, args=(["--campaign", "2"],))

    def slowly(campaigns: Mapping[int, Campaign], runs: Sequence[results.Result]) -> str:
        written = page(campaigns, runs)
        if other.ident is None:
            other.start()
            other.join(1.0)
        return written

    monkeypatch.setattr(results, "page", slowly)
    command.main(["--campaign", "1", "--engine", "mysql"])
    other.join()

    told = (place / "reliability.md").read_text()
    assert "30 of 30 kills" in told and "1 of 10 sales" in told


def test_what_a_run_has_found_before_an_interrupt_is_told_and_on_record(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Campaign(4, "broken", (1,), "sales", 9, 9, breaks_and_is_interrupted)
    monkeypatch.setattr(command, "CAMPAIGNS", {4: broken})

    with pytest.raises(KeyboardInterrupt):
        command.main(["--campaign", "4"])

    assert "campaign 4: sold twice" in capsys.readouterr().err
    assert [(run["attempts"], run["violations"]) for run in runs(place)] == [(1, ["sold twice"])]
    assert "1 of 9 sales PARTIAL | 1 |  | 1 |" in (place / "reliability.md").read_text()


def test_an_engine_that_cannot_be_had_is_told_in_its_own_words(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_engine(names: set[str]) -> Iterator[None]:
        raise EngineUnavailable("no MySQL here")
        yield

    monkeypatch.setattr(command, "_engines", contextmanager(no_engine))

    assert command.main(["--campaign", "1"]) == 1

    assert capsys.readouterr().err == "no MySQL here\n"
    assert list(place.iterdir()) == []


def test_make_hands_on_which_campaign_and_what_else_it_is_told() -> None:
    words = ["make", "-n", "chaos", "CAMPAIGN=10", "ARGS=--seed 5"]
    # Nothing of the make that runs the tests.
    alone = {"PATH": os.environ["PATH"]}

    said = subprocess.run(
        words, cwd=results.ROOT, env=alone, capture_output=True, text=True, check=True
    ).stdout

    assert said.split() == ["./dev", "chaos", "--seed", "5", "--campaign", "10"]


def test_a_campaign_that_there_is_not_is_refused_by_name(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--campaign", "9"]) == 2

    assert capsys.readouterr().err == "no campaign 9; there are 1, 2, 3\n"
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("size", ["0", "-3", "many"])
def test_a_size_that_is_none_is_refused_and_leaves_nothing_on_record(
    place: Path, capsys: pytest.CaptureFixture[str], size: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--campaign", "1", "--size", size])

    assert ended.value.code == 2
    assert f"argument --size: not a number of attempts: '{size}'" in capsys.readouterr().err
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("minutes", ["soon", "-1", "nan"])
def test_a_time_that_is_none_is_refused_and_leaves_nothing_on_record(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, minutes: str
) -> None:
    monkeypatch.setenv("CHAOS_MINUTES", minutes)

    assert command.main(["--campaign", "1"]) == 2

    assert capsys.readouterr().err == "CHAOS_MINUTES must be a number, 0 or more\n"
    assert list(place.iterdir()) == []
