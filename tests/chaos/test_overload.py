"""What an overload says of a server that does less than it can, and that it says nothing after too short a time."""

from pathlib import Path

import pytest

from chaos.campaign import Trial
from chaos.campaigns.overload import FIRST_SECONDS, TIMED_SECONDS, TIMES, Answer, judge
from chaos.crowd import Outcome

PEAK = 68.0


@pytest.mark.parametrize(
    ("done", "refusing", "said"),
    [
        (60, 0.004, []),
        (47, 0.004, ["47 calls a second were done, 68 at the peak"]),
        (60, 0.08, ["a refusal took 0.080 s at the 99th percentile"]),
    ],
)
def test_who_does_too_little_or_says_no_too_late_is_found(
    tmp_path: Path, done: int, refusing: float, said: list[str]
) -> None:
    assert judged(tmp_path, TIMED_SECONDS, done=done, refusing=refusing) == said


def test_nothing_is_said_of_how_fast_it_was_where_its_time_was_over_too_soon(tmp_path: Path) -> None:
    assert judged(tmp_path, 4, done=47, refusing=0.08) == []


def judged(folder: Path, timed: int, *, done: int, refusing: float) -> list[str]:
    """What is said of the short form, where there was time for so many seconds of it that count."""
    trial, seconds = Trial(TIMED_SECONDS, 7, folder), FIRST_SECONDS + timed
    times = [number / done for number in range(round(seconds * done))]
    storm = Outcome(0.0, round(seconds * TIMES * PEAK), {"OK": len(times)}, times)
    refused = [Answer(FIRST_SECONDS + number / 10, refusing) for number in range(10 * timed)]
    judge(trial, PEAK, storm, seconds, {}, refused)
    return trial.violations
