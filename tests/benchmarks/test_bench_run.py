"""A whole run in its short form, on the run's own Postgres."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.bench.__main__ import LOOKS, RESULTS, main, report_folder
from benchmarks.bench.row import H2LOAD, PGBENCH
from benchmarks.bench.rows import chosen
from benchmarks.bench.run import ROUNDS, SECONDS, Plan, Run
from tests.support.databases import server_url


async def test_a_short_run_writes_its_rounds_its_report_and_its_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOLDFAST_BENCH_POSTGRES_URL", server_url("postgres"))
    rows = ["empty-python", "reserve-hot-python", "killed"]
    words = ["--short", "--seconds", "0.2", "--rounds", "2", "--seed", "11", "--output", str(tmp_path)]

    code = await asyncio.to_thread(main, [*words, "--only", *rows])

    assert code == 0, capsys.readouterr().err
    raw = json.loads((tmp_path / "bench.json").read_text())
    assert sorted((turn["row"], turn["round"]) for turn in raw["turns"]) == [
        (row, number) for row in rows[:2] for number in (1, 2)
    ]
    assert all(turn["load"]["operations"] > 0 and turn["server_cpu_seconds"] > 0 for turn in raw["turns"])
    assert raw["killed"]["acknowledged"] == raw["killed"]["units"] == 300
    report = (tmp_path / "bench.md").read_text()
    assert "| reserve hot ÷ empty call, Python client | ≥ 0.9 |" in report
    assert "SIGKILL of one of two servers" in report
    assert (tmp_path / "bench.svg").read_text().startswith("<svg")


def test_nothing_less_than_the_whole_replaces_the_report(tmp_path: Path) -> None:
    whole = Run(Plan(chosen([]), rounds=ROUNDS, seconds=SECONDS, seed=1), {})
    assert whole.whole

    less = [
        replace(whole, plan=replace(whole.plan, rounds=ROUNDS - 1)),
        replace(whole, plan=replace(whole.plan, seconds=SECONDS - 0.1)),
        replace(whole, plan=replace(whole.plan, rows=chosen(["empty"]))),
        replace(whole, plan=replace(whole.plan, short=True)),
        replace(whole, left_out={H2LOAD: "it cannot be fetched"}),
        replace(whole, void=["the books differ"]),
    ]
    assert [run.whole for run in less] == [False] * len(less)
    assert replace(whole, left_out={PGBENCH: "there is none"}).whole


def test_what_is_not_whole_goes_elsewhere_even_where_the_report_was_asked_for(tmp_path: Path) -> None:
    assert report_folder(None, whole=True) == RESULTS
    assert report_folder(None, whole=False) == LOOKS
    assert report_folder(Path("docs/benchmarks"), whole=False) == LOOKS
    assert report_folder(tmp_path, whole=False) == tmp_path


def test_a_row_that_there_is_not_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "reserves", "--output", str(tmp_path)]) == 2
    assert "no row is called 'reserves'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", [["--rounds", "0"], ["--rounds", "-1"], ["--seconds", "0"], ["--seconds", "nan"]]
)
def test_a_run_without_rounds_or_of_no_time_is_refused(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--output", str(tmp_path), "--list"])
    assert ended.value.code == 2
    assert f"argument {words[0]}: invalid {words[0][2:]} value: '{words[1]}'" in capsys.readouterr().err
