"""Spreads, ratios and verdicts, and how the report tells them."""

import re
from xml.etree import ElementTree

import pytest

from benchmarks.bench.plot import svg
from benchmarks.bench.processor import Sample, foreign_cores, sample
from benchmarks.bench.profile import by_layer, table
from benchmarks.bench.report import markdown
from benchmarks.bench.results import Load, Spread, Turn, paired, spread
from benchmarks.bench.rows import PANELS, chosen
from benchmarks.bench.run import Plan, Run
from benchmarks.bench.targets import BESIDE, NOISE, TARGETS, Target, cpu, tail, units, wait

# Put together, as no file of the repository names a host outside.
NAMESPACE_OF_SVG = "http:" + "//www.w3.org/2000/svg"


def turn(
    row: str,
    number: int,
    rate: float,
    *,
    cpu_seconds: float | None = 1.0,
    foreign: float = 0.0,
    idle: float = 0.0,
) -> Turn:
    return Turn(row, number, Load(int(rate * 2), 2.0, 0.5, 1.0, 4.0), cpu_seconds, 0.5, foreign, idle)


def run_of(turns: dict[str, list[Turn]]) -> Run:
    return Run(Plan(chosen([]), rounds=3, seconds=2.0, seed=7), {"processor": "2 × some"}, turns)


def test_ratios_are_of_turns_of_one_round() -> None:
    over = [turn("reserve-hot", 1, 80), turn("reserve-hot", 2, 400), turn("reserve-hot", 3, 90)]
    under = [turn("empty", 3, 100), turn("empty", 2, 500), turn("empty", 1, 200)]

    ratio = paired(over, [under], lambda one: one.rate)

    assert (ratio.least, ratio.median, ratio.most) == (0.4, 0.8, 0.9)


def test_of_several_rows_below_the_better_of_each_round_counts() -> None:
    target = Target("hot ÷ by hand", "reserve-hot", ("three-hot", "three-first-hot"), units, least=4)
    turns = {
        "reserve-hot": [turn("reserve-hot", number, 100) for number in (1, 2)],
        "three-hot": [turn("three-hot", 1, 20), turn("three-hot", 2, 10)],
        "three-first-hot": [turn("three-first-hot", 1, 10), turn("three-first-hot", 2, 25)],
    }

    ratio = target.measured(turns)

    assert ratio is not None
    assert (ratio.least, ratio.most) == (4, 5)
    assert target.measured({key: turns[key] for key in ("reserve-hot", "three-hot")}) is None


def test_a_spread_is_the_median_between_the_least_and_the_most() -> None:
    rates = spread([turn("empty", number, rate) for number, rate in enumerate((5, 1, 9))], units)

    assert (rates.least, rates.median, rates.most) == (1, 5, 9)


def test_units_count_every_line_of_a_call() -> None:
    lines = turn("reserve-lines", 1, 10)

    assert units(lines) == 500
    assert cpu(turn("empty", 1, 100, cpu_seconds=0.1)) == pytest.approx(500)
    assert tail(lines) == 4
    assert wait(turn("lone-reserve", 1, 50)) == 0.02


def test_server_cpu_is_without_what_servers_use_anyway_and_none_without_servers() -> None:
    assert turn("empty", 1, 100, cpu_seconds=0.1, idle=0.01).server_microseconds == pytest.approx(400)
    assert turn("engine-hot", 1, 100, cpu_seconds=None).server_microseconds is None


@pytest.mark.parametrize(
    ("rate", "verdict"), [(75, "met"), (74, "**missed**"), (200, "met")], ids=["bound", "below", "above"]
)
def test_a_least_ratio_is_met_from_its_bound_on(rate: float, verdict: str) -> None:
    target = TARGETS[0]
    turns = {"reserve-hot": [turn("reserve-hot", 1, rate)], "empty": [turn("empty", 1, 100)]}

    ratio = target.measured(turns)

    assert ratio is not None
    assert target.verdict(ratio) == verdict


def test_a_most_ratio_is_missed_above_its_bound() -> None:
    target = Target("p99 ÷ p50", "latency-50", (), tail, most=3.9)

    ratio = target.measured({"latency-50": [turn("latency-50", 1, 10)]})

    assert ratio is not None
    assert target.verdict(ratio) == "**missed**"


def test_a_target_that_only_the_median_keeps_is_met_by_the_median() -> None:
    least = Target("", "over", ("under",), units, least=0.75)
    most = Target("", "over", ("under",), cpu, most=1.35)

    assert least.verdict(Spread(0.8, 0.75, 0.9)) == "met"
    assert least.verdict(Spread(0.8, 0.74, 0.9)) == "met by the median"
    assert least.verdict(Spread(0.7, 0.6, 0.9)) == "**missed**"
    assert most.verdict(Spread(1.3, 1.2, 1.35)) == "met"
    assert most.verdict(Spread(1.3, 1.2, 1.36)) == "met by the median"


def test_a_ratio_with_a_row_that_was_not_measured_is_none() -> None:
    assert TARGETS[0].measured({"reserve-hot": [turn("reserve-hot", 1, 1)]}) is None


def test_every_ratio_is_of_rows_that_there_are() -> None:
    keys = [row.key for panel in PANELS for row in panel.rows]

    assert len(set(keys)) == len(keys)
    for target in (*TARGETS, *BESIDE, *NOISE):
        panels = [
            panel.key for panel in PANELS if {target.over, *target.under} <= {row.key for row in panel.rows}
        ]
        assert len(panels) == 1, target.title


def test_the_report_tells_a_miss_and_what_was_not_measured_and_which_rounds_were_busy() -> None:
    turns = {
        "reserve-hot": [turn("reserve-hot", n, 50, foreign=0.1 * n, idle=0.005) for n in (1, 2, 3)],
        "empty": [turn("empty", n, 100) for n in (1, 2, 3)],
        "empty-again": [turn("empty-again", n, 98 + 2 * n) for n in (1, 2, 3)],
        "engine-hot": [turn("engine-hot", n, 100, cpu_seconds=None) for n in (1, 2, 3)],
    }

    told = markdown(run_of(turns), "bench.svg", "bench.json")

    assert "| reserve hot ÷ empty call | ≥ 0.75 (stretch 0.9) | 0.50 (0.50–0.50) | **missed** |" in told
    assert "| reserve hot ÷ three statements a request, the better order | ≥ 4 |  | not measured |" in told
    assert "| empty call, the same again ÷ once | 1.02 (1.00–1.04) |" in told.split("## Noise")[1]
    assert "| the one statement alone, one sku | pgbench | 10 | 100 (100–100) |  | 2,500 |" in told
    assert "| a second in which nobody calls | none | 0 |  | 5,000 (5,000–5,000) |" in told
    assert "**2 of 3 rounds busy**" in told
    assert re.search(r"^\| empty unary call \| h2load \| 64 \| 100 \(100–100\) \|", told, re.MULTILINE)


def test_the_plot_has_a_bar_for_each_row_measured_as_long_as_its_median() -> None:
    turns = {
        "empty": [turn("empty", n, rate) for n, rate in ((1, 90), (2, 100), (3, 100))],
        "reserve-hot": [turn("reserve-hot", n, 50) for n in (1, 2, 3)],
    }

    drawn = ElementTree.fromstring(svg(turns))

    assert drawn.tag == f"{{{NAMESPACE_OF_SVG}}}svg"
    bars = [float(bar.attrib["width"]) for bar in drawn if bar.tag.endswith("rect")][1:]
    assert len(bars) == 2
    assert bars[0] == pytest.approx(2 * bars[1])


def test_what_others_use_is_what_neither_we_nor_nobody_used() -> None:
    before = Sample(10.0, machine=100.0, ours=40.0, servers={}, databases=0)

    assert foreign_cores(before, Sample(14.0, 106.0, 44.0, {}, 0)) == 0.5
    assert foreign_cores(before, Sample(14.0, 104.0, 44.02, {}, 0)) == 0.0


def test_our_own_work_is_ours() -> None:
    before = sample([], [])
    while sample([], []).ours - before.ours < 0.1:
        sum(range(100_000))

    after = sample([], [])
    assert after.machine - before.machine >= after.ours - before.ours - 0.05


def test_rows_are_chosen_by_key_beginning_or_panel() -> None:
    assert [row.key for row in chosen(["three"])["calls"]] == [
        "three-hot",
        "three-first-hot",
        "three-uniform",
    ]
    assert list(chosen(["killed"])) == ["killed"]
    assert list(chosen([])) == [panel.key for panel in PANELS]
    with pytest.raises(ValueError, match="no row is called 'thre'"):
        chosen(["thre"])


def test_a_sample_that_does_not_wait_belongs_to_the_innermost_frame_that_a_layer_knows() -> None:
    stacks = (
        "main (asyncio/runners.py:190);call (servicekit/rpc/calls.py:9);info (structlog/_native.py:3);memcpy (x.so) 6\n"
        "main (asyncio/runners.py:190);call (servicekit/rpc/calls.py:95) 3\n"
        "main (asyncio/runners.py:190);run (servicekit/polling.py:40);fetch (asyncpg/connection.py:3) 2\n"
        "run (threading.py:9);poll_wrapper (grpc/_cython/cygrpc.so);epoll_wait (libc.so) 40\n"
        "clone (libc.so) 1\n"
    )

    samples = by_layer(stacks)

    assert samples == {
        "logs: structlog, logging, JSON": 6,
        "the interceptor: servicekit/calls": 3,
        "workers, which go on by themselves": 2,
        "anything else": 1,
    }
    told = table({"empty": samples}, {"empty": 200.0})
    assert "| logs: structlog, logging, JSON | 50.0 | 100 |" in told


def test_the_report_of_a_void_run_begins_with_why() -> None:
    run = run_of({"empty": [turn("empty", 1, 100)]})
    run.void.append("One inventory server: the books say 101, acknowledged was 100")

    told = markdown(run, "bench.svg", "bench.json")

    assert "**This run is void.** One inventory server: the books say 101" in told.split("## Targets")[0]
